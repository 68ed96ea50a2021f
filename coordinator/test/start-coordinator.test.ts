import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  findRunning,
  initCoordinator,
  startCoordinator,
  type CoordinatorOptions,
  type RunningCoordinator,
} from '@weft/coordinator';
import { inviteViewSchema, nodeViewSchema, parseInvite, toFederationId } from '@weft/shared';
import { createTestNode, refusalCode } from './test-node.ts';

let folder: string;
let home: string;
let coordinators: RunningCoordinator[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-start-'));
  home = join(folder, 'home');
  coordinators = [];
});
afterEach(async () => {
  for (const coordinator of coordinators) await coordinator.close();
  await rm(folder, { recursive: true });
});

const start = async (options: Partial<CoordinatorOptions> = {}): Promise<RunningCoordinator> => {
  const coordinator = await startCoordinator({
    home,
    grpcPort: 0,
    httpPort: 0,
    logger: pino({ level: 'silent' }),
    ...options,
  });
  coordinators.push(coordinator);
  return coordinator;
};

const call = async (path: string, init: RequestInit = {}): Promise<unknown> => {
  const { httpUrl, adminToken } = await findRunning(home);
  const headers = {
    authorization: `Bearer ${adminToken}`,
    ...(init.body !== undefined && { 'content-type': 'application/json' }),
  };
  const answer = await fetch(new URL(path, httpUrl), { ...init, headers });
  return answer.json();
};

/** A node that knows nothing but its invite. */
const joinByInvite = async (autoApprove: boolean) => {
  const { invite } = inviteViewSchema.parse(
    await call('/api/invites', { method: 'POST', body: JSON.stringify({ autoApprove }) }),
  );
  const { address, certificateDer, coordinatorKey, token } = parseInvite(invite);
  const node = createTestNode({
    address,
    certificate: { der: certificateDer },
    identity: { publicKey: coordinatorKey },
    federationId: toFederationId(coordinatorKey),
  });
  await node.enrol(token);
  return node;
};

describe('a coordinator', () => {
  it('goes from an empty folder to a node in session, approved over the admin API', async () => {
    await initCoordinator(home);
    const coordinator = await start({ advertise: undefined });
    const node = await joinByInvite(false);
    expect(await refusalCode(node.openSession())).toBe('WEFT_NODE_PENDING');
    await call(`/api/nodes/${node.nodeId}/approve`, { method: 'POST' });
    const session = await node.openSession();
    expect(nodeViewSchema.array().parse(await call('/api/nodes'))).toMatchObject([
      { id: node.nodeId, connected: true, agentVersion: 'test' },
    ]);
    await call(`/api/nodes/${node.nodeId}/revoke`, { method: 'POST' });
    expect(await refusalCode(session.ended)).toBe('WEFT_NODE_REVOKED');
    node.close();
    expect(coordinator.grpcAddress).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  it('tells its nodes that it stops, and knows them when it is back', async () => {
    await initCoordinator(home);
    const first = await start();
    const node = await joinByInvite(true);
    const session = await node.openSession();
    await first.close();
    expect(await refusalCode(session.ended)).toBe('WEFT_COORDINATOR_STOPPING');
    node.close();
    await expect(findRunning(home)).rejects.toMatchObject({ code: 'WEFT_ADMIN_UNREACHABLE' });
    await start({ grpcPort: Number(first.grpcAddress.split(':')[1]) });
    expect(nodeViewSchema.array().parse(await call('/api/nodes'))).toMatchObject([
      { id: node.nodeId, state: 'approved', connected: false },
    ]);
  });

  it('puts what it advertises into invites', async () => {
    await initCoordinator(home, { config: { advertise: 'weft.example:443' } });
    await start();
    const { invite } = inviteViewSchema.parse(await call('/api/invites', { method: 'POST' }));
    expect(parseInvite(invite).address).toBe('weft.example:443');
  });

  it('says which port is in use, and leaves the home free', async () => {
    await initCoordinator(home);
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as AddressInfo;
    await expect(start({ grpcPort: port })).rejects.toMatchObject({ code: 'WEFT_PORT_IN_USE', details: { port } });
    await expect(start({ httpPort: port })).rejects.toMatchObject({ code: 'WEFT_PORT_IN_USE', details: { port } });
    other.close();
    await start();
    await expect(start()).rejects.toMatchObject({ code: 'WEFT_HOME_LOCKED' });
  });

  it('is not started on a home that nobody made', async () => {
    await expect(start()).rejects.toMatchObject({
      code: 'WEFT_COORDINATOR_HOME',
      todo: expect.stringContaining('weft coordinator init'),
    });
  });

  it('takes a changed password file, and logs neither password, token nor key', async () => {
    await initCoordinator(home);
    const passwordFile = join(folder, 'password');
    await writeFile(passwordFile, 'a chosen password\n');
    const lines: string[] = [];
    const logger = pino({ level: 'trace' }, { write: (line) => void lines.push(line) });
    await start({ env: { WEFT_ADMIN_PASSWORD_FILE: passwordFile }, logger });
    const { httpUrl, adminToken } = await findRunning(home);
    const logIn = (password: string) =>
      fetch(new URL('/api/login', httpUrl), {
        method: 'POST',
        body: JSON.stringify({ password }),
        headers: { 'content-type': 'application/json', origin: new URL(httpUrl).origin },
      });
    expect((await logIn('a chosen password')).status).toBe(204);
    expect((await logIn('another password')).status).toBe(401);
    const node = await joinByInvite(true);
    (await node.openSession()).call.cancel();
    node.close();
    const log = lines.join('');
    expect(log).toContain('coordinator started');
    expect(log).toContain('can read each node');
    const seed = await readFile(join(home, 'identity.seed'));
    for (const secret of [
      'a chosen password',
      'another password',
      adminToken,
      seed.toString('hex'),
      seed.toString('base64'),
    ])
      expect(log).not.toContain(secret);
  });
});

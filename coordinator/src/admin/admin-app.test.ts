import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  WeftError,
  createIdentity,
  errorViewSchema,
  endorse,
  federationViewSchema,
  inviteViewSchema,
  log,
  logViewSchema,
  nodeViewSchema,
  organisationFingerprint,
  parseInvite,
  parseRunSpec,
  sha256,
  privacyNotice,
  protectionOf,
  toNodeId,
  type Identity,
  type NodeId,
} from '@weft/shared';
import { createCosignatures } from '../log/cosignatures.ts';
import { openTransparencyLog, type TransparencyLog } from '../log/transparency-log.ts';
import { createRegistry, type Registry } from '../registry/registry.ts';
import { openStore, type Store } from '../store/store.ts';
import { createAdminApp } from './admin-app.ts';
import { toFederationView } from './admin-views.ts';
import { createLiveFeed, type LiveFeed } from './live-feed.ts';
import type { AdminContext } from './routes.ts';

const adminToken = randomBytes(32).toString('hex');
const password = 'correct horse battery staple';
const host = '127.0.0.1:7480';
const origin = `http://${host}`;
const command = { host, authorization: `Bearer ${adminToken}` };

let folder: string;
let store: Store;
let registry: Registry;
let live: LiveFeed;
let app: FastifyInstance;
let transparencyLog: TransparencyLog;
let now: number;

/** Runs that accept a spec and know nothing of rounds. */
const unknownRun = (): never => {
  throw new WeftError('WEFT_RUN_UNKNOWN', 'there is no such run');
};
const runs: AdminContext['runs'] = {
  takeGateData: async (bytes) => ({ sha256: sha256(bytes), sizeBytes: bytes.length }),
  create: async (spec) => {
    parseRunSpec(spec);
    return unknownRun();
  },
  start: unknownRun,
  pause: unknownRun,
  resume: unknownRun,
  stop: unknownRun,
  rollBack: unknownRun,
  show: unknownRun,
  export: unknownRun,
  list: () => [],
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-admin-'));
  store = openStore(folder);
  registry = createRegistry({ store });
  live = createLiveFeed();
  now = Date.now();
  transparencyLog = await openTransparencyLog({
    store,
    identity: createIdentity().identity,
    folder: join(folder, 'log'),
    logger: pino({ level: 'silent' }),
  });
  app = await createAdminApp({
    transparencyLog,
    registry,
    store,
    live,
    runs,
    adminToken,
    models: { list: () => [], register: () => Promise.reject(new WeftError('WEFT_MODEL_NOT_FOUND', 'no model')) },
    sessions: { presence: () => undefined },
    verifyPassword: async (tried) => tried === password,
    logger: pino({ level: 'silent' }),
    coordinatorKey: createIdentity().identity.publicKey,
    certificateDer: () => new Uint8Array(300),
    now: () => now,
    federation: () =>
      toFederationView(
        {
          id: 'f',
          name: 'libraries',
          coordinatorKey: '',
          certificateSha256: '',
          grpcAddress: 'weft.example:7443',
          version: '0',
        },
        registry.list(),
      ),
  });
});
afterEach(async () => {
  await app.close();
  await transparencyLog.close();
  store.close();
  await rm(folder, { recursive: true });
});

const logIn = async (): Promise<string> => {
  const answer = await app.inject({
    method: 'POST',
    url: '/api/login',
    headers: { host, origin },
    payload: { password },
  });
  expect(answer.statusCode).toBe(204);
  return `weft_admin=${answer.cookies[0]!.value}`;
};

const enrol = (organisation?: Identity, { publicKey } = createIdentity().identity, untilS?: number): NodeId => {
  const token = randomBytes(32);
  registry.createInvite({ token, expiresAt: Date.now() + 1000, autoApprove: false });
  return registry.enrol({
    token,
    publicKey,
    name: 'north library',
    organisation: '',
    ...(organisation && { endorsement: endorse(organisation, 'f', publicKey, untilS) }),
  }).id;
};

describe('the log', () => {
  it('is for everyone: tiles for ever, the checkpoint asked for anew each time', async () => {
    registry.approve(enrol());
    await transparencyLog.written();
    const asked = (path: string) => app.inject({ url: `/log/${path}`, headers: { host } });
    const checkpoint = await asked('checkpoint');
    expect([checkpoint.statusCode, checkpoint.headers['cache-control']]).toEqual([200, 'no-cache']);
    expect(log.parseCheckpoint(log.parseNote(checkpoint.rawPayload).text).size).toBe(1);
    for (const path of ['tile/0/000.p/1', 'tile/entries/000.p/1']) {
      const tile = await asked(path);
      expect([tile.statusCode, tile.headers['cache-control']]).toEqual([200, 'public, max-age=31536000, immutable']);
    }
    for (const path of ['tile/0/001', '../weft.db', '..%2fweft.db', 'tile/0/../../../weft.db', '']) {
      const answer = await asked(path);
      expect(answer.statusCode).toBe(404);
    }
    expect((await app.inject({ method: 'POST', url: '/log/checkpoint', headers: { host } })).statusCode).toBe(404);
  });

  it('tells the admin its size and root, who cosigned which checkpoint, and for which organisation', async () => {
    const shown = async () => {
      await transparencyLog.written();
      return logViewSchema.parse((await app.inject({ url: '/api/log', headers: command })).json());
    };
    expect(await shown()).toMatchObject({ size: 0, cosigned: null, witnesses: [] });

    const library = createIdentity().identity;
    const vouchedBy = organisationFingerprint(library.publicKey);
    const nodes = [createIdentity().identity, createIdentity().identity];
    const [vouched, nobodys] = [enrol(library, nodes[0]), enrol(undefined, nodes[1])];
    for (const id of [vouched, nobodys]) registry.approve(id);
    const { origin } = await shown();
    const cosignatures = createCosignatures({
      federationId: origin.replace('weft-log/', ''),
      noteOf: (size) => transparencyLog.noteOf(size),
      known: [],
    });
    const cosign = async (node: Identity, size: number): Promise<void> => {
      const signer = createIdentity(node.publicKey).identity;
      const signature = log.cosignatureOf(transparencyLog.noteOf(size).text, (bytes) => signer.sign(bytes), 9n);
      const federationId = origin.replace('weft-log/', '');
      const kept = cosignatures.add(
        {
          key: log.witnessKeyOf(node.publicKey, signer.publicKey),
          nodeKey: node.publicKey,
          nodeSignature: log.signWitnessKey(node, federationId, signer.publicKey),
          endorsement: registry.node(toNodeId(node.publicKey))!.endorsement,
        },
        size,
        signature,
      );
      await transparencyLog.keepCosigned(kept!);
    };
    await cosign(nodes[0]!, 2);
    await cosign(nodes[1]!, 2);
    const { text } = transparencyLog.noteOf(2);
    expect(await shown()).toMatchObject({
      size: 2,
      root: Buffer.from(log.parseCheckpoint(text).root).toString('hex'),
      cosigned: { size: 2, organisations: [vouchedBy] },
      witnesses: [
        { nodeId: vouched, vouchedBy, cosignedSize: 2 },
        { nodeId: nobodys, vouchedBy: null, cosignedSize: 2 },
      ],
    });
    expect(
      log.checkNote(
        log.parseNote(Buffer.from((await shown()).checkpoint)),
        log.parseVerifierKey((await shown()).verifierKey),
      ),
    ).toBe('good');

    // A revoked node counts for nobody any more; the newest checkpoint has nobody's signature yet.
    registry.revoke(vouched);
    expect(await shown()).toMatchObject({
      size: 3,
      cosigned: { size: 2, organisations: [] },
      witnesses: [{ vouchedBy: null, cosignedSize: 2 }, { cosignedSize: 2 }],
    });
    await cosign(nodes[1]!, 3);
    expect((await shown()).witnesses.find(({ nodeId }) => nodeId === nobodys)).toMatchObject({ cosignedSize: 3 });
  });
});

describe('the admin API', () => {
  it('shows the federation, and says in plain words who can read a delta', async () => {
    const answer = await app.inject({ url: '/api/federation', headers: command });
    expect(federationViewSchema.parse(answer.json()).privacyNotice).toBe(privacyNotice);
  });

  it('says against whom its members are protected, as organisations vouch for the approved ones', async () => {
    const [library, archive] = [createIdentity().identity, createIdentity().identity];
    const protection = async (): Promise<string> =>
      federationViewSchema.parse((await app.inject({ url: '/api/federation', headers: command })).json()).protection;
    registry.approve(enrol());
    expect(await protection()).toBe(protectionOf(0));
    registry.approve(enrol(library));
    registry.approve(enrol(library));
    const pending = enrol(archive);
    expect(await protection()).toBe(protectionOf(1));
    registry.approve(pending);
    expect(await protection()).toBe(protectionOf(2));
    registry.revoke(pending);
    expect(await protection()).toBe(protectionOf(1));
    const answer = await app.inject({ url: '/api/nodes', headers: command });
    const vouched = nodeViewSchema.array().parse(answer.json());
    expect(vouched.map(({ vouchedBy, organisationKey }) => [vouchedBy, organisationKey])).toEqual([
      [null, null],
      ...[library, library, archive].map(({ publicKey }) => [
        organisationFingerprint(publicKey),
        Buffer.from(publicKey).toString('hex'),
      ]),
    ]);
  });

  it('says when the word of an organisation ends, and counts it for nobody once it has', async () => {
    const library = createIdentity().identity;
    const nowS = Math.floor(Date.now() / 1000);
    for (const untilS of [nowS + 3600, nowS - 3600, undefined]) registry.approve(enrol(library, undefined, untilS));
    const nodes = nodeViewSchema.array().parse((await app.inject({ url: '/api/nodes', headers: command })).json());
    const vouchedBy = organisationFingerprint(library.publicKey);
    expect(nodes).toMatchObject([
      { vouchedBy, vouchedUntil: (nowS + 3600) * 1000 },
      { vouchedBy: null, organisationKey: null, vouchedUntil: (nowS - 3600) * 1000 },
      { vouchedBy, vouchedUntil: null },
    ]);
  });

  it('approves and revokes a node', async () => {
    const id = enrol();
    const post = async (order: string) =>
      nodeViewSchema.parse(
        (await app.inject({ method: 'POST', url: `/api/nodes/${id}/${order}`, headers: command })).json(),
      );
    expect(await post('approve')).toMatchObject({ state: 'approved', connected: false });
    expect(await post('revoke')).toMatchObject({ state: 'revoked' });
    const again = await app.inject({ method: 'POST', url: `/api/nodes/${id}/approve`, headers: command });
    expect(again.statusCode).toBe(403);
    expect(errorViewSchema.parse(again.json()).code).toBe('WEFT_NODE_REVOKED');
    const unknown = await app.inject({ method: 'POST', url: '/api/nodes/n_x/approve', headers: command });
    expect(unknown.json()).toMatchObject({
      code: 'WEFT_NODE_UNKNOWN',
      todo: expect.stringContaining('weft node join'),
    });
  });

  it('makes an invite that ends after 24 hours, unless told otherwise', async () => {
    const create = async (payload: object) =>
      app.inject({ method: 'POST', url: '/api/invites', headers: command, payload });
    const view = inviteViewSchema.parse((await create({})).json());
    expect(view).toMatchObject({ autoApprove: false, expiresAt: Math.round(now + 24 * 3600 * 1000) });
    const invite = parseInvite(view.invite);
    expect(invite).toMatchObject({ address: 'weft.example:7443', federationName: 'libraries' });
    expect(invite.token.length).toBeGreaterThanOrEqual(16);
    const other = inviteViewSchema.parse(
      (await create({ expiresInHours: 1, autoApprove: true, advertise: '10.0.0.1:1' })).json(),
    );
    expect(parseInvite(other.invite).address).toBe('10.0.0.1:1');
    expect((await create({ advertise: 'nowhere' })).json()).toMatchObject({ code: 'WEFT_USAGE' });
    expect((await create({ expiresInHour: 1 })).statusCode).toBe(400);
  });

  it('reports every mistake of a spec', async () => {
    const answer = await app.inject({
      method: 'POST',
      url: '/api/runs',
      headers: command,
      payload: { rounds: 0, nme: 'x' },
    });
    expect(answer.statusCode).toBe(422);
    const { message } = errorViewSchema.parse(answer.json());
    for (const part of ['rounds', 'nme', 'name', 'baseModel', 'aggregation']) expect(message, part).toContain(part);
  });

  it('answers what is not JSON, too long or nowhere with a catalogued error', async () => {
    const headers = { ...command, 'content-type': 'application/json' };
    expect((await app.inject({ method: 'POST', url: '/api/runs', headers, payload: '{' })).json()).toMatchObject({
      code: 'WEFT_USAGE',
    });
    expect(
      (await app.inject({ method: 'POST', url: '/api/runs', headers, payload: `"${'x'.repeat(300_000)}"` })).json(),
    ).toMatchObject({ code: 'WEFT_USAGE' });
    expect((await app.inject({ url: '/api/nothing', headers })).json()).toMatchObject({ code: 'WEFT_ADMIN_NOT_FOUND' });
  });
});

describe('access', () => {
  it('is refused without a login, with a wrong token and with a made-up cookie', async () => {
    const attempts = [
      {},
      { authorization: `Bearer ${'0'.repeat(64)}` },
      { authorization: 'Bearer ' },
      { cookie: 'weft_admin=x' },
    ];
    for (const url of [
      '/api/federation',
      '/api/nodes',
      '/api/runs',
      '/api/events',
      '/api/live',
      '/api/runs/r/adapter',
    ]) {
      for (const headers of attempts)
        expect((await app.inject({ url, headers: { host, ...headers } })).statusCode, url).toBe(401);
    }
    expect((await app.inject({ method: 'POST', url: '/api/invites', headers: { host, origin } })).statusCode).toBe(401);
  });

  it('comes with the password, as a cookie that no script reads and no other site sends', async () => {
    const answer = await app.inject({
      method: 'POST',
      url: '/api/login',
      headers: { host, origin },
      payload: { password },
    });
    expect(answer.headers['set-cookie']).toMatch(/HttpOnly/);
    expect(answer.headers['set-cookie']).toMatch(/SameSite=Strict/);
    const cookie = `weft_admin=${answer.cookies[0]!.value}`;
    expect((await app.inject({ url: '/api/nodes', headers: { host, cookie } })).statusCode).toBe(200);
    await app.inject({ method: 'POST', url: '/api/logout', headers: { host, origin, cookie } });
    expect((await app.inject({ url: '/api/nodes', headers: { host, cookie } })).statusCode).toBe(401);
  });

  it('ends with the working day', async () => {
    const cookie = await logIn();
    now += 12 * 3600 * 1000;
    expect((await app.inject({ url: '/api/nodes', headers: { host, cookie } })).statusCode).toBe(401);
  });

  it('is limited to ten tries a minute, the right password among them', async () => {
    const attempt = (tried: string) =>
      app.inject({ method: 'POST', url: '/api/login', headers: { host, origin }, payload: { password: tried } });
    for (let i = 0; i < 10; i++)
      expect((await attempt('wrong')).json()).toMatchObject({ code: 'WEFT_ADMIN_UNAUTHENTICATED' });
    const late = await attempt(password);
    expect(late.statusCode).toBe(429);
    expect(late.json()).toMatchObject({ code: 'WEFT_ADMIN_RATE_LIMITED', retry: true });
  });

  it('of a page does not reach what is for commands on this machine', async () => {
    const cookie = await logIn();
    const register = (headers: object) =>
      app.inject({ method: 'POST', url: '/api/models', headers: { host, ...headers }, payload: { path: '/etc' } });
    expect((await register({ cookie, origin })).json()).toMatchObject({ code: 'WEFT_ADMIN_ORIGIN' });
    expect((await register(command)).json()).toMatchObject({ code: 'WEFT_MODEL_NOT_FOUND' });
  });
});

describe('a request is refused', () => {
  const refusal = async (request: InjectOptions): Promise<string> =>
    errorViewSchema.parse((await app.inject(request)).json()).code;

  it('that names another host, as after DNS rebinding, also for the page itself', async () => {
    for (const url of ['/', '/main.js', '/api/federation']) {
      for (const name of ['evil.example', 'evil.example:7480', '127.0.0.1.evil.example', '127.0.0.1@evil.example']) {
        expect(await refusal({ url, headers: { ...command, host: name } })).toBe('WEFT_ADMIN_ORIGIN');
      }
    }
  });

  it('that comes from a page of another site, whatever it carries', async () => {
    const cookie = await logIn();
    for (const foreign of ['http://evil.example', 'http://127.0.0.1:9999', 'null']) {
      expect(await refusal({ method: 'POST', url: '/api/invites', headers: { host, cookie, origin: foreign } })).toBe(
        'WEFT_ADMIN_ORIGIN',
      );
      expect(
        await refusal({ method: 'POST', url: '/api/login', headers: { host, origin: foreign }, payload: { password } }),
      ).toBe('WEFT_ADMIN_ORIGIN');
    }
    expect(await refusal({ url: '/api/nodes', headers: { host, cookie, 'sec-fetch-site': 'cross-site' } })).toBe(
      'WEFT_ADMIN_ORIGIN',
    );
    // a form or script that hides where it comes from
    expect(await refusal({ method: 'POST', url: '/api/invites', headers: { host, cookie } })).toBe('WEFT_ADMIN_ORIGIN');
  });
});

describe('the page', () => {
  it('is served under a policy without inline script, and nothing beside its files', async () => {
    const page = await app.inject({ url: '/', headers: { host } });
    expect(page.body).toContain('<script type="module" src="/main.js">');
    expect(page.headers['content-security-policy']).toContain("script-src 'self';");
    expect(page.headers['content-security-policy']).not.toContain('unsafe');
    expect((await app.inject({ url: '/main.js', headers: { host } })).headers['content-type']).toContain('javascript');
    for (const url of ['/package.json', '/../package.json', '/%2e%2e/package.json', '/src/main.tsx']) {
      expect((await app.inject({ url, headers: { host } })).statusCode, url).toBe(404);
    }
  });
});

describe('the event stream', () => {
  const open = async (
    path: string,
    headers: Record<string, string>,
  ): Promise<{ next(): Promise<string>; response: IncomingMessage }> => {
    if (!app.server.listening) await app.listen({ port: 0, host: '127.0.0.1' });
    const { port } = app.server.address() as AddressInfo;
    const request = get({ port, path, headers: { ...headers } });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.setEncoding('utf8');
    let text = '';
    const next = async (): Promise<string> => {
      for (;;) {
        const end = text.indexOf('\n\n');
        const event = end < 0 ? undefined : text.slice(0, end);
        if (event !== undefined) {
          text = text.slice(end + 2);
          if (event.includes('data:')) return event;
          continue;
        }
        const [piece] = (await Promise.race([once(response, 'data'), once(response, 'end').then(() => ['\n\n'])])) as [
          string,
        ];
        if (response.readableEnded) return 'ended';
        text += piece;
      }
    };
    return { next, response };
  };

  it('tells the rows that are there, then each new one, and resumes behind the last', async () => {
    const id = enrol();
    const stream = await open('/api/events', command);
    expect(await stream.next()).toContain('event: invite.created');
    expect(await stream.next()).toContain('event: node.enrolled');
    expect(await stream.next()).toContain('event: invite.used');
    registry.approve(id);
    const approved = await stream.next();
    expect(approved).toContain(`"nodeId":"${id}"`);
    const seq = /id: (\d+)/.exec(approved)![1]!;
    stream.response.destroy();
    registry.revoke(id);
    const resumed = await open('/api/events', { ...command, 'last-event-id': seq });
    expect(await resumed.next()).toContain('event: node.revoked');
    resumed.response.destroy();
  });

  it('ends when its admin logs out', async () => {
    const cookie = await logIn();
    const stream = await open('/api/events', { host: 'localhost', cookie });
    await app.inject({ method: 'POST', url: '/api/logout', headers: { host, origin, cookie } });
    expect(await stream.next()).toBe('ended');
  });

  it('of live progress passes on what fits the contract, and nothing else', async () => {
    const stream = await open('/api/live', command);
    const progress = { runId: 'r', round: 2, stage: 'training', done: 3n, total: 8n, tokensPerSecond: 100 };
    const say = (value: object) => live.take('n_1' as NodeId, { case: 'progress', value } as never);
    say({ ...progress, stage: '<b>' });
    say({ ...progress, tokensPerSecond: Number.NaN });
    say(progress);
    expect(await stream.next()).toContain(
      '{"runId":"r","round":2,"nodeId":"n_1","stage":"training","done":3,"total":8,"tokensPerSecond":100}',
    );
    stream.response.destroy();
  });
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { protectionOf, toFederationId, toNodeId } from '@weft/shared';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readFederation, writeFederation } from './federation-file.ts';
import { openHome } from './home.ts';
import { findHolder } from './lock.ts';
import { readStatus } from '../status.ts';
import { readSent, recordSent } from './sent-record.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-home-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

test('a home and its seed are for their owner alone, and the identity stays', async () => {
  const path = join(folder, 'node');
  const first = await openHome(path);
  await first.release();
  const second = await openHome(path);
  await second.release();
  expect(await modeOf(path)).toBe(0o700);
  expect(await modeOf(join(path, 'identity.seed'))).toBe(0o600);
  expect(second.identity.keyId).toBe(first.identity.keyId);
});

test('a second process is told who holds the home', async () => {
  const home = await openHome(folder);
  await expect(openHome(folder)).rejects.toMatchObject({ code: 'WEFT_HOME_LOCKED', details: { pid: process.pid } });
  await home.release();
  await (await openHome(folder)).release();
});

test('a home is held until its process is gone, however that ends, and whatever it left behind', async () => {
  const url = JSON.stringify(new URL('lock.ts', import.meta.url).href);
  const taking = `const { lockHome } = await import(${url}); await lockHome(${JSON.stringify(folder)}); console.log('held'); setInterval(() => {}, 1e6);`;
  const other = spawn(process.execPath, ['--input-type=module', '-e', taking], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(other.stdout, 'data');
  await expect(openHome(folder)).rejects.toMatchObject({ code: 'WEFT_HOME_LOCKED', details: { pid: other.pid } });
  expect(await findHolder(folder)).toBe(other.pid);
  other.kill('SIGKILL');
  await once(other, 'exit');
  expect(await findHolder(folder)).toBeUndefined();
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => openHome(folder)));
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test('a seed that others may read is refused', async () => {
  await (await openHome(folder)).release();
  await chmod(join(folder, 'identity.seed'), 0o644);
  await expect(openHome(folder)).rejects.toMatchObject({ code: 'WEFT_NODE_HOME_EXPOSED' });
});

test('a damaged seed is refused, and the home is free afterwards', async () => {
  await writeFile(join(folder, 'identity.seed'), 'short', { mode: 0o600 });
  await expect(openHome(folder)).rejects.toMatchObject({ code: 'WEFT_NODE_HOME_DAMAGED' });
  await rm(join(folder, 'identity.seed'));
  await (await openHome(folder)).release();
});

const federation = {
  version: 1 as const,
  address: 'localhost:7443',
  federationId: toFederationId(new Uint8Array(32)),
  federationName: 'test',
  coordinatorKey: new Uint8Array(32),
  certificates: [{ der: Uint8Array.of(1, 2, 3), notBeforeMs: 0 }],
  nodeId: toNodeId(new Uint8Array(32)),
  nodeName: 'one',
  organisation: '',
};

test('the pins come back as they were written', async () => {
  await writeFederation(folder, federation);
  expect(await readFederation(folder)).toEqual(federation);
  expect(await modeOf(join(folder, 'federation.json'))).toBe(0o600);
});

test('without an enrolment the pins are missing, and changed ones are refused by name', async () => {
  await expect(readFederation(folder)).rejects.toMatchObject({ code: 'WEFT_NODE_NOT_JOINED' });
  await writeFederation(folder, federation);
  const text = await readFile(join(folder, 'federation.json'), 'utf8');
  await writeFile(join(folder, 'federation.json'), text.replace(federation.nodeId, 'n_0'));
  await expect(readFederation(folder)).rejects.toMatchObject({
    code: 'WEFT_NODE_HOME_DAMAGED',
    message: expect.stringContaining('nodeId'),
  });
});

test('the record says in plain words what left, and survives a line that a crash cut short', async () => {
  const decline = { kind: 'decline', runId: 'r', runName: 'run', round: 3, code: 'WEFT_NODE_LEAVING' } as const;
  const written = await recordSent(folder, decline);
  await writeFile(join(folder, 'sent.jsonl'), '{"kind":"upd', { flag: 'a' });
  expect(written.said).toContain('no update was sent');
  expect(await readSent(folder)).toEqual([written]);
  const next = await recordSent(folder, decline);
  expect(await readSent(folder)).toEqual([written, next]);
});

test('the status tells of each round who was hidden among whom, and of a plain one that nobody was', async () => {
  await writeFederation(folder, federation);
  const round = { runId: 'r', runName: 'run' };
  const masked = { kind: 'secure', ...round, round: 0, members: 10, colluders: 2 } as const;
  await recordSent(folder, { ...masked, survivors: 9 });
  // a restart said the same again
  await recordSent(folder, { ...masked, survivors: 8 });
  const { said } = await recordSent(folder, { ...masked, round: 1, survivors: 10 });
  expect(said).toContain('10 of 10 members survived');
  await recordSent(folder, { kind: 'decline', ...round, round: 2, code: 'WEFT_POLICY_REFUSED', rule: 'mostRounds' });
  const { rounds, refusals, faults, protection } = await readStatus(folder);
  expect(rounds).toMatchObject([
    { ...round, round: 0, mode: 'secure', members: 10, survivors: 8, colluders: 2 },
    { ...round, round: 1, mode: 'secure', members: 10, survivors: 10, colluders: 2, payloadSha256: null },
  ]);
  expect(refusals).toMatchObject([{ round: 2, code: 'WEFT_POLICY_REFUSED', rule: 'mostRounds' }]);
  expect(faults).toEqual([]);
  expect(protection).toBe(`${protectionOf(0)} The policy lists none in trustedOrganisations.`);
});

test('the status is told also where the agent would not start, with what is broken', async () => {
  await writeFederation(folder, federation);
  await writeFile(join(folder, 'policy.yaml'), 'mostRound: 1\n', { mode: 0o600 });
  await mkdir(join(folder, 'ledger'));
  await writeFile(join(folder, 'ledger', 'ledger.txt'), 'nothing spent }\n');
  expect((await readStatus(folder)).faults).toEqual(['WEFT_POLICY_INVALID', 'WEFT_PRIVACY_LEDGER_DAMAGED']);
});

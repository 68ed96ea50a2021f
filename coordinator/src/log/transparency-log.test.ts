import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isWeftError, log, merkle } from '@weft/shared';
import { afterEach, expect, test } from 'vitest';
import { coordinatorIdentity } from '../runs/loopback-node.ts';
import type { Loopback } from '../runs/loopback.ts';
import { logFolderOf, openLoggedLoopback, openLogOf, runToTheEnd } from './logged-loopback.ts';
import type { TransparencyLog } from './transparency-log.ts';

let loopback: Loopback;
afterEach(() => loopback.close());

const folder = (): string => logFolderOf(loopback);
const open = (): Promise<TransparencyLog> => openLogOf(loopback);
const beginFederation = async (): Promise<void> => void (loopback = await openLoggedLoopback());

async function files(): Promise<Map<string, string>> {
  const paths = await readdir(folder(), { recursive: true, withFileTypes: true });
  const found = paths.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  return new Map(await Promise.all(found.toSorted().map(async (path) => [path, await readFile(path, 'hex')] as const)));
}

const head = async (): Promise<log.Checkpoint> =>
  log.parseCheckpoint(log.parseNote(await readFile(join(folder(), 'checkpoint'))).text);

async function leaves(): Promise<log.Leaf[]> {
  const { size } = await head();
  const bundle = await readFile(join(folder(), log.bundlePath({ index: 0, width: size })));
  return log.decodeBundle(bundle, size).map(log.decodeLeaf);
}

test('each change becomes a leaf, and the checkpoint is signed over all of them', async () => {
  await beginFederation();
  const own = await open();
  await runToTheEnd(loopback);
  loopback.store.append({ kind: 'node.revoked', nodeId: loopback.nodes[0]!.id, data: {} });
  await own.close();
  const found = await leaves();
  const round = ['offer', 'roster', 'result'];
  expect(found.map(({ name }) => name)).toEqual(['enrol', 'enrol', 'enrol', ...round, ...round, 'revoke']);
  const results = found.filter((leaf) => leaf.name === 'result');
  const rows = loopback.store.read({ kinds: ['round.committed'] });
  expect(results.map(({ adapterHash }) => Buffer.from(adapterHash).toString('hex'))).toEqual(
    rows.map(({ data }) => data.adapter.sha256),
  );
  expect(results[1]!.previousAdapter).toEqual(results[0]!.adapterHash);
  expect(results[0]).toMatchObject({ updates: 3, weightSum: BigInt(rows[0]!.data.weightSum) });
  // A member finds itself by its key; in the other leaf under another name.
  const keys = loopback.nodes.map(({ identity }) => identity.publicKey);
  const roster = found.find((leaf) => leaf.name === 'roster')!;
  expect(log.sortedRoot(keys.map((key) => log.pseudonymOf(roster.runId, key)))).toEqual(Buffer.from(roster.memberRoot));
  const key = log.parseVerifierKey((await readFile(join(folder(), 'vkey'), 'utf8')).trim());
  expect(Buffer.from(key.publicKey)).toEqual(Buffer.from(coordinatorIdentity.publicKey));
  expect(log.checkNote(log.parseNote(await readFile(join(folder(), 'checkpoint'))), key)).toBe('good');
});

test("an organisation's word for a node that is approved already becomes a second leaf, once", async () => {
  await beginFederation();
  const own = await open();
  const [node] = loopback.nodes;
  const publicKey = Buffer.from(node!.identity.publicKey).toString('hex');
  const organisation = Buffer.alloc(32, 7);
  const endorsement = Buffer.concat([organisation, Buffer.alloc(72)]).toString('hex');
  const row = { kind: 'node.enrolled' as const, nodeId: node!.id };
  for (const name of ['a library', 'an archive'])
    loopback.store.append({ ...row, data: { publicKey, name, organisation: '', endorsement } });
  await own.close();
  const found = (await leaves()).filter((leaf) => leaf.name === 'enrol');
  expect(found.map((leaf) => Buffer.from(leaf.organisation)[0])).toEqual([0, 0, 0, 7]);
  expect(found[3]!.node).toEqual(found[0]!.node);
});

test('is byte for byte the same again, whatever a crash left of its files', async () => {
  await beginFederation();
  await (await open()).close();
  const before = await files();
  const early = await head();
  await runToTheEnd(loopback);
  await rm(folder(), { recursive: true });
  await (await open()).close();
  const whole = await files();
  const { size } = await head();
  for (const lost of whole.keys()) {
    await rm(lost);
    await (await open()).close();
    expect(await files()).toEqual(whole);
  }
  // The process ended before anything of the run was written.
  await rm(folder(), { recursive: true });
  for (const [path, bytes] of before) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes, 'hex');
  }
  const own = await open();
  // The parts of tiles that the old checkpoint needs stay.
  expect(await files()).toEqual(new Map([...before, ...whole]));
  const proof = own.consistencyProof(early.size, size);
  expect(merkle.isConsistent(early, own.head(), proof)).toBe(true);
  await own.close();
});

test('a coordinator does not sign a second history: an older table beside a newer log is refused', async () => {
  await beginFederation();
  await (await open()).close();
  const newer = await files();
  await loopback.close();
  await beginFederation();
  const [, checkpoint] = [...newer].find(([path]) => path.endsWith('checkpoint'))!;
  const text = Buffer.from(checkpoint, 'hex').toString().replace(/\n3\n/, '\n9\n');
  await mkdir(folder(), { recursive: true });
  await writeFile(join(folder(), 'checkpoint'), text);
  await expect(open()).rejects.toSatisfy((error) => isWeftError(error, 'WEFT_LOG_CONFLICT'));
});

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { LogProofSchema, LogSeenSchema, type LogPath } from '@weft/proto';
import { createIdentity, log, toFederationId, type NodeId, type RunId } from '@weft/shared';
import { afterEach, expect, test } from 'vitest';
import { coordinatorIdentity } from '../runs/loopback-node.ts';
import type { Loopback } from '../runs/loopback.ts';
import { createLogWatchers, type LogWatchers } from './log-watchers.ts';
import { logFolderOf, openLoggedLoopback, openLogOf, runToTheEnd, silent } from './logged-loopback.ts';
import type { TransparencyLog } from './transparency-log.ts';

type Shown = MessageInitShape<typeof LogProofSchema>;

let loopback: Loopback;
let transparencyLog: TransparencyLog;
let watchers: LogWatchers;
const shown: { to: NodeId; proof: Shown }[] = [];
const federationId = toFederationId(coordinatorIdentity.publicKey);

async function open(): Promise<void> {
  loopback = await openLoggedLoopback();
  transparencyLog = await openLogOf(loopback);
  const { store } = loopback;
  watchers = await createLogWatchers({
    transparencyLog,
    store,
    federationId,
    logger: silent,
    registry: {
      publicKey: (nodeId) => loopback.nodes.find(({ id }) => id === nodeId)?.identity.publicKey,
      endorsement: () => new Uint8Array(),
    },
    gateway: {
      send(to, message) {
        if (message.case === 'logProof') shown.push({ to, proof: message.value });
        return true;
      },
    },
  });
}
afterEach(async () => {
  watchers.close();
  await transparencyLog.close();
  await loopback.close();
  shown.splice(0);
});

const says = (nodeId: NodeId, said: MessageInitShape<typeof LogSeenSchema>) =>
  watchers.take(nodeId, create(LogSeenSchema, said));
const toPath = ({ place, size, hashes }: LogPath) => ({ place: Number(place), size: Number(size), hashes });
const written = async (file: string): Promise<string> => {
  await transparencyLog.written();
  return readFile(join(logFolderOf(loopback), file), 'utf8');
};

test('each member is shown its round from where it saw the log, and one that asks again is shown it again', async () => {
  await open();
  for (const { id } of loopback.nodes) says(id, { logSize: 0n });
  const runId = await runToTheEnd(loopback);
  await transparencyLog.written();
  const rows = loopback.store.read({ kinds: ['update.accepted'] });
  const ended = loopback.store.read({ kinds: ['round.started'] });
  for (const { id } of loopback.nodes) {
    const rounds = shown.filter(({ to, proof }) => to === id && proof.runId === runId).map(({ proof }) => proof.round);
    expect(rounds).toEqual([0, 1]);
  }
  const [node] = loopback.nodes;
  shown.splice(0);
  watchers.gone(node!.id);
  says(node!.id, { logSize: 3n, awaited: [{ runId, round: 1 }] });
  const init = create(LogProofSchema, shown[0]!.proof);
  const seen = { size: 3, root: log.parseCheckpoint(transparencyLog.noteOf(3).text).root };
  const head = log.readShownHead(
    { checkpoint: init.checkpoint, fromSize: Number(init.fromSize), consistency: init.consistency },
    coordinatorIdentity.publicKey,
    seen,
  );
  if (head.verdict !== 'grew') throw new Error('the proof does not continue what the node saw');
  const own = rows.find(({ nodeId, round }) => nodeId === node!.id && round === 1)!;
  const held = log.readShownRound(
    { leaves: init.leaves.map(({ leaf, path }) => ({ leaf, path: toPath(path!) })), update: toPath(init.update!) },
    head.head,
    {
      runId: Buffer.from(runId.slice(2), 'hex'),
      round: 1,
      adapterHash: Buffer.from(ended.find(({ round }) => round === 1)!.data.adapter.sha256, 'hex'),
      updateHash: Buffer.from(own.data.updateSha256, 'hex'),
      mayBeLeftOut: false,
    },
  );
  expect(held).toMatchObject({ verdict: 'holds', cut: false, end: 'result', leftOut: false });
});

test('a node that asks is shown the leaf that names the adapter of the run, as soon as it is on the disk', async () => {
  await open();
  const { id } = loopback.nodes[0]!;
  const runId = (await runToTheEnd(loopback)) as RunId;
  await transparencyLog.written();
  const adapterShown = () => {
    const { proof } = shown.at(-1)!;
    expect(proof).toMatchObject({ runId, round: 1 });
    const { leaf, path } = create(LogProofSchema, proof).adapter!;
    const { size, root } = log.parseCheckpoint(log.parseNote(proof.checkpoint!).text);
    return log.readShownAdapter({ leaf, path: toPath(path!) }, { size, root }, Buffer.from(runId.slice(2), 'hex'));
  };
  const adapters = loopback.store.read({ kinds: ['round.committed'] }).map(({ data }) => data.adapter);
  const [first, second] = adapters;
  says(id, { logSize: 3n, adapters: [runId] });
  const { size } = transparencyLog.head();
  expect(adapterShown()).toMatchObject({
    place: size - 1,
    adapterHash: new Uint8Array(Buffer.from(second!.sha256, 'hex')),
  });
  shown.splice(0);
  // Derived, and not written: what is not on the disk is not shown.
  loopback.store.append([{ kind: 'run.rolledBack', runId, data: { adapter: first!, from: second!.sha256 } }]);
  says(id, { logSize: BigInt(size), adapters: [runId] });
  expect(shown).toEqual([]);
  await transparencyLog.written();
  expect(shown).toHaveLength(1);
  expect(adapterShown()).toMatchObject({ place: size, adapterHash: new Uint8Array(Buffer.from(first!.sha256, 'hex')) });
});

test('a proof that began elsewhere is made again from where the node says', async () => {
  await open();
  const { id } = loopback.nodes[0]!;
  expect(watchers.offerProof(id, 3).fromSize).toBe(0);
  expect(watchers.offerProof(id, 3).fromSize).toBe(3);
  expect(says(id, { logSize: 2n, astray: true }).astray).toBe(true);
  expect(watchers.offerProof(id, 3)).toEqual({ fromSize: 2, proof: transparencyLog.consistencyProof(2, 3) });
  expect(() => says(id, { awaited: Array.from({ length: 65 }, () => ({ runId: 'r', round: 0 })) })).toThrow(
    '65 rounds',
  );
});

test('a witness is shown each checkpoint, and only what it signed itself is kept', async () => {
  await open();
  const node = loopback.nodes[0]!;
  const other = loopback.nodes[1]!;
  const cosigner = createIdentity().identity;
  const key = log.witnessKeyOf(node.identity.publicKey, cosigner.publicKey);
  const witness = {
    verifierKey: log.formatVerifierKey(key),
    signature: log.signWitnessKey(node.identity, federationId, cosigner.publicKey),
  };
  // A key that its node has not signed, or that another node signed.
  for (const [who, announced] of [
    [node.id, { ...witness, signature: new Uint8Array(64) }],
    [other.id, witness],
    [node.id, { ...witness, verifierKey: 'no key' }],
  ] as const)
    expect(() => says(who, { logSize: 0n, witness: announced })).toThrow('has not signed the witness key');

  says(node.id, { logSize: 0n, witness });
  expect(shown.at(-1)).toMatchObject({ to: node.id, proof: { runId: '' } });
  const { text } = transparencyLog.noteOf(3);
  const cosign = (content: string) => log.cosignatureOf(content, (bytes) => cosigner.sign(bytes), 9n);
  says(node.id, { logSize: 3n, witness, cosignature: cosign('another text\n') });
  says(node.id, { logSize: 9n, witness, cosignature: cosign(text) });
  await expect(written('witnesses')).rejects.toThrow('ENOENT');
  says(node.id, { logSize: 3n, witness, cosignature: cosign(text) });
  const note = log.parseNote(Buffer.from(await written('checkpoint')));
  expect(note.signatures).toHaveLength(2);
  expect(log.checkNote(note, key)).toBe('good');
  expect(log.parseWitnesses(Buffer.from(await written('witnesses'))).map((known) => known.key.name)).toEqual([
    key.name,
  ]);

  // What it signs of the same checkpoint later changes nothing, under whichever key: it would keep leaves waiting.
  const before = await written('checkpoint');
  const another = createIdentity().identity;
  const rekeyed = {
    verifierKey: log.formatVerifierKey(log.witnessKeyOf(node.identity.publicKey, another.publicKey)),
    signature: log.signWitnessKey(node.identity, federationId, another.publicKey),
  };
  const at = (time: bigint) => log.cosignatureOf(text, (bytes) => cosigner.sign(bytes), time);
  const byAnother = log.cosignatureOf(text, (bytes) => another.sign(bytes), 9n);
  says(node.id, { logSize: 3n, witness, cosignature: at(10n) });
  says(node.id, { logSize: 3n, witness: rekeyed, cosignature: byAnother });
  expect(await written('checkpoint')).toBe(before);
  says(node.id, { logSize: 3n, witness });

  // A newer checkpoint has not been cosigned yet; the one that was lies beside it.
  loopback.store.append({ kind: 'node.revoked', nodeId: other.id, data: {} });
  expect(log.parseNote(Buffer.from(await written('checkpoint'))).signatures).toHaveLength(1);
  expect(log.parseCheckpoint(log.parseNote(Buffer.from(await written('cosigned'))).text).size).toBe(3);
  expect(Number(shown.at(-1)!.proof.fromSize)).toBe(3);
});

test('however many cosignatures come at once, the leaves behind them wait for one write of theirs', async () => {
  await open();
  const note = (size: number) => log.formatNote(transparencyLog.noteOf(size));
  const cosigned = (size: number, witnesses: string) => ({
    witnesses,
    cosigned: note(size),
    checkpoint: { size, text: `${note(size)}${witnesses}` },
  });
  await transparencyLog.written();
  const first = transparencyLog.keepCosigned(cosigned(3, 'one\n'));
  const second = transparencyLog.keepCosigned(cosigned(2, 'two\n'));
  expect(second).toBe(first);
  await second;
  expect(await written('witnesses')).toBe('two\n');
  // The newest checkpoint's signatures are not lost to those of an older one.
  expect(await written('checkpoint')).toBe(`${note(3)}one\n`);
});

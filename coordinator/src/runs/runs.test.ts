import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAdapterLayout, dequantizeSum, domains, factorSize, isWeftError, ring, sha256, signBody, type Sha256 } from '@weft/shared';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { Accumulator } from '../aggregation/accumulator.ts';
import { gatherState } from '../aggregation/factor-slices.ts';
import { openDatabase } from '../store/database.ts';
import type { StoredEvent } from '../store/events.ts';
import { LoopbackNode, loopbackModel, loopbackSpec, openLoopback, receiptBytes, type Loopback, type PreparedUpdate } from './loopback.ts';

const open: Loopback[] = [];
afterEach(async () => {
  for (const loopback of open.splice(0)) await loopback.close();
});
const loopbackOf = async (options: Parameters<typeof openLoopback>[0] = {}): Promise<Loopback> => {
  const loopback = await openLoopback(options);
  open.push(loopback);
  return loopback;
};

const code = (error: unknown): string => (isWeftError(error) ? error.code : String(error));
const refusalOf = (work: Promise<unknown>): Promise<string> => work.then(() => 'nothing was refused', code);
const eventsOf = <K extends StoredEvent['kind']>({ store }: Loopback, kind: K): StoredEvent<K>[] => store.read({ kinds: [kind] });

/** A run whose nodes wait for the test to tell them what to do, in its first round. */
async function beginByHand(spec: Parameters<typeof loopbackSpec>[0] = {}): Promise<{ loopback: Loopback; runId: string; nodes: readonly LoopbackNode[] }> {
  const loopback = await loopbackOf({ automatic: false });
  const { id } = await loopback.runs.create(loopbackSpec(spec));
  for (const node of loopback.nodes) loopback.connect(node);
  loopback.runs.start(id);
  return { loopback, runId: id, nodes: loopback.nodes };
}

async function reachCollecting(spec: Parameters<typeof loopbackSpec>[0] = {}) {
  const begun = await beginByHand(spec);
  for (const node of begun.nodes) await node.ready(node.offer);
  return begun;
}

test('rounds run to the end: each update counted, the adapter committed by hash, the loss of each version known', async () => {
  const loopback = await loopbackOf();
  const { runs, nodes } = loopback;
  const { id, adapterSha256 } = await runs.create(loopbackSpec({ rounds: 3 }));
  for (const node of nodes) loopback.connect(node);
  expect(runs.start(id).state).toBe('running');
  await loopback.settle();

  const shown = runs.show(id);
  expect(shown).toMatchObject({ state: 'finished', phase: 'finished', round: 2, rounds: 3, finalHeldOutLoss: 2 });
  expect(shown.roundsDone.map(({ factor, phase, contributors, heldOutLoss, heldOutTokens }) => ({ factor, phase, contributors, heldOutLoss, heldOutTokens }))).toEqual(
    ['B', 'A', 'B'].map((factor) => ({ factor, phase: 'finished', contributors: 3, heldOutLoss: 2, heldOutTokens: 60 })),
  );
  expect(shown.roundsDone[0]!.adapterBefore).toBe(adapterSha256);
  expect(shown.roundsDone[2]!.adapterAfter).toBe(shown.adapterSha256);
  expect(shown.roundsDone[0]!.nodes.every(({ stage, bytesUp }) => stage === 'accepted' && bytesUp > 0)).toBe(true);
  expect(nodes[0]!.heard.map(({ case: kind }) => kind)).toEqual([
    ...Array.from({ length: 3 }, () => ['roundOffer', 'cohort', 'roundResult']).flat(),
    'roundOffer',
    'runEnded',
  ]);
  expect(eventsOf(loopback, 'update.accepted')).toHaveLength(9);
  const exported = await runs.export(id);
  expect(exported.files.map(({ name }) => name)).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
  expect(sha256(Buffer.from(exported.files[1]!.base64, 'base64'))).toBe(shown.adapterSha256);
  await runs.close();
  expect(await readdir(join(loopback.home, 'blobs', 'updates'))).toEqual(['partial']);
});

test('momentum of the server acts on a factor in its own rounds, and leaves the other factor alone', async () => {
  const loopback = await loopbackOf();
  const { id } = await loopback.runs.create(loopbackSpec({ rounds: 4, server: { optimizer: 'fedavgm', momentum: 0.5 } }));
  for (const node of loopback.nodes) loopback.connect(node);
  loopback.runs.start(id);
  await loopback.settle();
  const layout = createAdapterLayout(loopbackModel.dimensions, loopback.runs.show(id).spec.adapter);
  const momenta = await Promise.all(
    eventsOf(loopback, 'round.committed').map(async ({ data }) => {
      const bytes = await readFile(join(loopback.home, 'blobs', 'adapters', data.momentum!.sha256));
      return new Float64Array(new Uint8Array(bytes).buffer);
    }),
  );
  expect(momenta).toHaveLength(4);
  for (const [round, momentum] of momenta.entries()) {
    const [trained, other] = round % 2 === 0 ? (['B', 'A'] as const) : (['A', 'B'] as const);
    const before = momenta[round - 1] ?? new Float64Array(layout.size);
    // What the nodes sent in this round, added up here once more.
    const accumulator = new Accumulator(factorSize(layout, trained));
    for (const node of loopback.nodes) {
      const offer = node.heard.filter((message) => message.case === 'roundOffer')[round]!;
      accumulator.add(node.prepare(node.readOffer(offer)).payload);
      accumulator.endUpdate();
    }
    const { meanDelta } = dequantizeSum(accumulator.words, { clipNormL2: 10, weightCap: 100 });
    const expected = gatherState(layout, before, trained).map((value, i) => 0.5 * value + meanDelta[i]!);
    expect(gatherState(layout, momentum, trained)).toEqual(expected);
    expect(gatherState(layout, momentum, other)).toEqual(gatherState(layout, before, other));
  }
});

test('the same update again gets the same receipt, also long after its round; another one is refused', async () => {
  const { loopback, runId, nodes } = await reachCollecting({ rounds: 1 });
  const [first, second] = nodes as [LoopbackNode, LoopbackNode];
  const prepared = first.prepare(first.offer);
  const receipt = receiptBytes(await first.upload(prepared));
  expect(receiptBytes(await first.upload(prepared))).toBe(receipt);
  expect(await refusalOf(first.upload(first.prepare(first.offer, { update: { weight: 11n } })))).toBe('WEFT_UPDATE_DUPLICATE');
  for (const node of nodes.slice(1)) await node.upload(node.prepare(node.offer));
  await loopback.settle();
  expect(eventsOf(loopback, 'round.committed')).toHaveLength(1);
  expect(receiptBytes(await first.upload(prepared))).toBe(receipt);
  expect((await first.status(runId, 0, prepared.payload)).receipt).toBeDefined();
  expect(await refusalOf(second.upload(prepared))).toBe('WEFT_UPDATE_WRONG_NODE');
});

describe('an update is refused, and the round goes on, when', () => {
  const stranger = new LoopbackNode(77);
  const other = 'f'.repeat(64);
  const setWord = (word: number, value: number) => (bytes: Uint8Array) => new DataView(bytes.buffer).setInt32(4 * word, value, true);
  type Change = NonNullable<Parameters<LoopbackNode['prepare']>[1]>;
  const attacks: Record<string, { change: Change; refusal: string }> = {
    'another node signed it': { change: { signer: stranger.identity }, refusal: 'WEFT_UPDATE_WRONG_NODE' },
    'it names another node': { change: { update: { nodeId: stranger.id } }, refusal: 'WEFT_UPDATE_WRONG_NODE' },
    'it names another run': { change: { update: { runId: `r_${'9'.repeat(32)}` } }, refusal: 'WEFT_UPDATE_WRONG_RUN' },
    'it names another round': { change: { update: { round: 1 } }, refusal: 'WEFT_UPDATE_WRONG_ROUND' },
    'it names another base model': { change: { update: { baseModelSha256: other } }, refusal: 'WEFT_UPDATE_WRONG_MODEL' },
    'it names another layout': { change: { update: { layoutSha256: other } }, refusal: 'WEFT_UPDATE_WRONG_LAYOUT' },
    'it started from another adapter': { change: { update: { previousAdapterSha256: other } }, refusal: 'WEFT_UPDATE_WRONG_ADAPTER' },
    'it holds the other factor': { change: { update: { factor: 1 } }, refusal: 'WEFT_UPDATE_WRONG_FACTOR' },
    'it is in another ring': { change: { update: { ringBits: 16 } }, refusal: 'WEFT_UPDATE_WRONG_RING' },
    'it has a value too few': { change: { update: { values: 79n } }, refusal: 'WEFT_UPDATE_WRONG_LENGTH' },
    'it is a gigabyte long': { change: { update: { payloadBytes: 2n ** 30n } }, refusal: 'WEFT_UPDATE_WRONG_LENGTH' },
    'its weight is above the cap': { change: { update: { weight: 101n } }, refusal: 'WEFT_UPDATE_WRONG_WEIGHT' },
    'its weight is zero': { change: { update: { weight: 0n } }, refusal: 'WEFT_UPDATE_WRONG_WEIGHT' },
    'it has more saturated values than values': { change: { update: { saturatedValues: 10_000n } }, refusal: 'WEFT_MESSAGE_MALFORMED' },
    'it is not what was announced': { change: { update: { payloadSha256: other } }, refusal: 'WEFT_UPDATE_NOT_EXPECTED' },
  };
  test.each(Object.entries(attacks))('%s', async (_, { change, refusal }) => {
    const { loopback, nodes } = await reachCollecting({ rounds: 1 });
    const [first] = nodes as [LoopbackNode];
    expect(await refusalOf(first.upload(first.prepare(first.offer, change)))).toBe(refusal);
    for (const node of nodes) await node.upload(node.prepare(node.offer));
    await loopback.settle();
    expect(eventsOf(loopback, 'round.committed')).toHaveLength(1);
  });

  test('a byte of its signed body was changed', async () => {
    const { nodes } = await reachCollecting();
    const [first] = nodes as [LoopbackNode];
    const { envelope, payload } = first.prepare(first.offer);
    envelope.body = envelope.body.map((byte, i) => (i === envelope.body.length - 1 ? byte ^ 1 : byte));
    expect(await refusalOf(first.upload({ envelope, payload }))).toBe('WEFT_SIGNATURE_INVALID');
  });

  const bytes: Record<string, { change: (payload: Uint8Array) => void; refusal: string }> = {
    'a coordinate is beyond the ring': { change: setWord(3, ring.coordinateCap + 1), refusal: 'WEFT_UPDATE_WRONG_RING' },
    'a coordinate is beyond the ring below zero': { change: setWord(5, -ring.coordinateCap - 1), refusal: 'WEFT_UPDATE_WRONG_RING' },
    'a coordinate holds the bits of a NaN': { change: setWord(0, 0x7fc00000), refusal: 'WEFT_UPDATE_WRONG_RING' },
    'its last word is not its weight': { change: (payload) => setWord(payload.length / 4 - 1, 99)(payload), refusal: 'WEFT_UPDATE_WRONG_WEIGHT' },
  };
  test.each(Object.entries(bytes))('%s', async (_, { change, refusal }) => {
    const { loopback, nodes } = await beginByHand({ rounds: 1, minimum: 2 });
    const [first] = nodes as [LoopbackNode];
    const { runId, round } = first.offer;
    const attack = first.prepare(first.offer, { payload: change });
    await first.say({
      case: 'ready',
      value: { runId, round, payloadSha256: sha256(attack.payload), payloadBytes: BigInt(attack.payload.length), trainingMs: 1n },
    });
    for (const node of nodes.slice(1)) await node.ready(node.offer);
    expect(await refusalOf(first.upload(attack))).toBe(refusal);
    expect(await readdir(join(loopback.home, 'blobs', 'updates', 'partial'))).toEqual([]);
    for (const node of nodes.slice(1)) await node.upload(node.prepare(node.offer));
    loopback.clock.advance(29_000);
    for (const node of nodes.slice(1)) await node.say({ case: 'heartbeat', value: { sentAtMs: 1n } });
    loopback.clock.advance(2_000);
    await loopback.settle();
    expect(eventsOf(loopback, 'round.committed')[0]?.data.nodeIds).toHaveLength(2);
  });
});

describe('a transfer', () => {
  const interrupt = async (node: LoopbackNode, { envelope, payload }: PreparedUpdate, until: number): Promise<void> => {
    const sink = await node.runs.openUpload(node.id, envelope, 0);
    await sink.write(payload.subarray(0, until));
    await sink.suspend();
  };

  test('goes on at the offset that its status names', async () => {
    const { runId, nodes } = await reachCollecting();
    const [first] = nodes as [LoopbackNode];
    const prepared = first.prepare(first.offer);
    expect(await first.status(runId, 0, prepared.payload)).toEqual({ receivedBytes: 0 });
    await interrupt(first, prepared, 150);
    expect(await first.status(runId, 0, prepared.payload)).toEqual({ receivedBytes: 150 });
    expect(await refusalOf(first.upload(prepared, { offset: 151 }))).toBe('WEFT_TRANSFER_OFFSET');
    await first.upload(prepared, { offset: 150 });
    expect((await first.status(runId, 0, prepared.payload)).receivedBytes).toBe(prepared.payload.length);
  });

  test('that is short, long, or of other bytes is refused, and can be made good', async () => {
    const { nodes } = await reachCollecting();
    const [first] = nodes as [LoopbackNode];
    const { envelope, payload } = first.prepare(first.offer);
    expect(await refusalOf(first.upload({ envelope, payload: payload.subarray(4) }))).toBe('WEFT_TRANSFER_TRUNCATED');
    expect(await refusalOf(first.upload({ envelope, payload: Buffer.concat([payload, Buffer.alloc(1)]) }))).toBe('WEFT_TRANSFER_TOO_LARGE');
    const flipped = payload.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
    expect(await refusalOf(first.upload({ envelope, payload: flipped }))).toBe('WEFT_TRANSFER_HASH');
    await first.upload({ envelope, payload });
  });

  test('is taken over by a later connection of the same node', async () => {
    const { nodes } = await reachCollecting();
    const [first] = nodes as [LoopbackNode];
    const { envelope, payload } = first.prepare(first.offer);
    const stale = await first.runs.openUpload(first.id, envelope, 0);
    await stale.write(payload.subarray(0, 50));
    const later = await first.runs.openUpload(first.id, envelope, 50);
    expect(await refusalOf(stale.write(payload.subarray(50)))).toBe('WEFT_TRANSFER_TRUNCATED');
    await stale.suspend();
    await later.write(payload.subarray(50));
    await later.finish();
  });

  test('serves a node what it was offered, and never an update', async () => {
    const { loopback, nodes } = await reachCollecting({ minimum: 2, maximum: 3 });
    const [first] = nodes as [LoopbackNode];
    const { payload, envelope } = first.prepare(first.offer);
    await first.upload({ envelope, payload });
    const offered = first.offer.adapter!.sha256 as Sha256;
    expect((await loopback.runs.offeredBlob(first.id, offered))?.sizeBytes).toBe(Number(first.offer.adapter!.sizeBytes));
    expect(await loopback.runs.offeredBlob(first.id, sha256(payload))).toBeUndefined();
    expect(await loopback.runs.offeredBlob(new LoopbackNode(50).id, offered)).toBeUndefined();
  });
});

test('what a node says is checked before it counts', async () => {
  const { loopback, nodes } = await beginByHand();
  const [first] = nodes as [LoopbackNode];
  const { runId, round, adapter } = first.offer;
  const evaluation = { runId, round, adapterSha256: adapter!.sha256, lossSum: 1, tokens: 1n };
  expect(await refusalOf(first.say({ case: 'evaluation', value: { ...evaluation, lossSum: Number.NaN } }))).toBe('WEFT_MESSAGE_MALFORMED');
  expect(await refusalOf(first.say({ case: 'evaluation', value: { ...evaluation, adapterSha256: 'f'.repeat(64) } }))).toBe('WEFT_UPDATE_WRONG_ADAPTER');
  expect(await refusalOf(first.say({ case: 'evaluation', value: { ...evaluation, tokens: 2n ** 60n } }))).toBe('WEFT_MESSAGE_MALFORMED');
  expect(await refusalOf(first.say({ case: 'ready', value: { runId, round: 9, payloadSha256: 'f'.repeat(64), payloadBytes: 1n, trainingMs: 1n } }))).toBe('WEFT_UPDATE_WRONG_ROUND');
  expect(await refusalOf(first.say({ case: 'ready', value: { runId, round, payloadSha256: '../../x', payloadBytes: 1n, trainingMs: 1n } }))).toBe('WEFT_MESSAGE_MALFORMED');
  expect(await refusalOf(first.say({ case: 'progress', value: { runId: 'r_none', round } }))).toBe('WEFT_RUN_UNKNOWN');
  expect(eventsOf(loopback, 'evaluation.reported')).toEqual([]);
});

test('a run needs a registered base model and a sound spec, and only one run trains at a time', async () => {
  const loopback = await loopbackOf();
  const { runs } = loopback;
  const spec = loopbackSpec();
  expect(await refusalOf(runs.create({ ...spec, baseModel: { name: 'other', sha256: 'e'.repeat(64) } }))).toBe('WEFT_MODEL_NOT_REGISTERED');
  expect(await refusalOf(runs.create({ ...spec, rounds: 0 }))).toBe('WEFT_SPEC_INVALID');
  const one = await runs.create(spec);
  const two = await runs.create(spec);
  runs.start(one.id);
  expect(() => runs.start(two.id)).toThrow(/one run trains at a time/);
  expect(runs.pause(one.id)).toMatchObject({ state: 'paused', phase: 'paused' });
  runs.start(two.id);
  expect(() => runs.resume(one.id)).toThrow(/one run trains at a time/);
  expect(runs.stop(two.id)).toMatchObject({ state: 'stopped', phase: 'aborted' });
  expect(runs.resume(one.id)).toMatchObject({ state: 'running', phase: 'waiting' });
  expect(() => runs.show('r_none')).toThrow(/no run/);
});

test('a full disk refuses what cannot be kept, and the round goes on once there is room', async () => {
  const home = await mkdtemp(join(tmpdir(), 'weft-full-'));
  const database = openDatabase(join(home, 'weft.db'));
  const loopback = await loopbackOf({ automatic: false, home, database });
  const { id } = await loopback.runs.create(loopbackSpec({ rounds: 1 }));
  for (const node of loopback.nodes) loopback.connect(node);
  loopback.runs.start(id);
  for (const node of loopback.nodes) await node.ready(node.offer);
  const [first] = loopback.nodes as [LoopbackNode];
  database.pragma(`max_page_count = ${Number(database.pragma('page_count', { simple: true }))}`);
  let token = 0;
  const fill = () => {
    for (;;) loopback.store.append({ kind: 'invite.used', data: { tokenSha256: sha256(String(token++)) } });
  };
  expect(fill).toThrow(/disk was full/);
  expect(await refusalOf(first.upload(first.prepare(first.offer)))).toBe('WEFT_DISK_FULL');
  expect(eventsOf(loopback, 'update.accepted')).toEqual([]);
  database.pragma('max_page_count = 100000');
  for (const node of loopback.nodes) await node.upload(node.prepare(node.offer));
  await loopback.settle();
  expect(eventsOf(loopback, 'round.committed')).toHaveLength(1);
  await rm(home, { recursive: true });
});

test('whatever a node says or signs, the runs refuse it with an error of the catalogue', async () => {
  const { loopback, nodes } = await reachCollecting({ rounds: 1 });
  const [first] = nodes as [LoopbackNode];
  const { runId, round, adapter } = first.offer;
  const text = fc.oneof(fc.string(), fc.constantFrom(runId, adapter!.sha256, first.id, 'f'.repeat(64)));
  const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const uint32 = fc.oneof(fc.constant(round), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
  const said = fc.oneof(
    fc.record({ case: fc.constant('ready' as const), value: fc.record({ runId: text, round: uint32, payloadSha256: text, payloadBytes: uint64, trainingMs: uint64 }) }),
    fc.record({ case: fc.constant('evaluation' as const), value: fc.record({ runId: text, round: uint32, adapterSha256: text, lossSum: fc.double(), tokens: uint64 }) }),
    fc.record({ case: fc.constant('progress' as const), value: fc.record({ runId: text, round: uint32, stage: text, done: uint64 }) }),
  );
  const update = fc.record(
    { runId: text, round: uint32, nodeId: text, baseModelSha256: text, layoutSha256: text, payloadSha256: text, payloadBytes: uint64, values: uint64, weight: uint64, saturatedValues: uint64 },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(said, update, fc.uint8Array({ maxLength: 60 }), async (message, change, body) => {
      expect(await refusalOf(first.say(message))).toMatch(/^(WEFT_(?!INTERNAL)|nothing)/);
      if (Object.keys(change).length > 0) expect(await refusalOf(first.upload(first.prepare(first.offer, { update: change })))).toMatch(/^WEFT_(?!INTERNAL)/);
      // Signed garbage: the signature holds, the body is none.
      const garbage = { ...first.prepare(first.offer).envelope, body, signature: signBody(domains.update, body, first.identity) };
      expect(await refusalOf(loopback.runs.openUpload(first.id, garbage, 0))).toMatch(/^WEFT_(?!INTERNAL)/);
    }),
    { numRuns: 200 },
  );
  for (const node of nodes) await node.ready(node.offer).then(() => node.upload(node.prepare(node.offer)));
  await loopback.settle();
  expect(eventsOf(loopback, 'round.committed')).toHaveLength(1);
});

test('a node that is revoked leaves the round at once', async () => {
  const { loopback, nodes } = await reachCollecting({ rounds: 1, minimum: 2 });
  const [first, ...others] = nodes as [LoopbackNode, LoopbackNode, LoopbackNode];
  for (const node of others) await node.upload(node.prepare(node.offer));
  loopback.store.append({ kind: 'node.revoked', nodeId: first.id, data: {} });
  await loopback.settle();
  expect(eventsOf(loopback, 'round.committed')[0]?.data.nodeIds).toEqual(others.map(({ id }) => id).toSorted());
});

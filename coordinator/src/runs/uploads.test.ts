import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { coordinateCapOf, domains, sha256, signBody, type Sha256 } from '@weft/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LoopbackNode, receiptBytes, type PreparedUpdate } from './loopback-node.ts';
import { byHand, reachCollecting } from './loopback-fixture.ts';
import { eventsOf, refusalOf } from './loopback.ts';

test('the same update again gets the same receipt, also long after its round; another one is refused', async () => {
  const { loopback, runId, nodes } = await reachCollecting({ rounds: 1 });
  const [first, second] = nodes as [LoopbackNode, LoopbackNode];
  const prepared = first.prepare(first.offer);
  const receipt = receiptBytes(await first.upload(prepared));
  expect(receiptBytes(await first.upload(prepared))).toBe(receipt);
  expect(await refusalOf(first.upload(first.prepare(first.offer, { update: { weight: 11n } })))).toBe(
    'WEFT_UPDATE_DUPLICATE',
  );
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
  const setWord = (word: number, value: number) => (bytes: Uint8Array) => {
    // Of three bytes: the sum of three updates of 16 bits needs 18.
    Buffer.from(bytes.buffer).writeIntLE(value, 3 * word, 3);
  };
  type Change = NonNullable<Parameters<LoopbackNode['prepare']>[1]>;
  const attacks: Record<string, { change: Change; refusal: string }> = {
    'another node signed it': { change: { signer: stranger.identity }, refusal: 'WEFT_UPDATE_WRONG_NODE' },
    'it names another node': { change: { update: { nodeId: stranger.id } }, refusal: 'WEFT_UPDATE_WRONG_NODE' },
    'it names another run': { change: { update: { runId: `r_${'9'.repeat(32)}` } }, refusal: 'WEFT_UPDATE_WRONG_RUN' },
    'it names another round': { change: { update: { round: 1 } }, refusal: 'WEFT_UPDATE_WRONG_ROUND' },
    'it names another base model': {
      change: { update: { baseModelSha256: other } },
      refusal: 'WEFT_UPDATE_WRONG_MODEL',
    },
    'it names another layout': { change: { update: { layoutSha256: other } }, refusal: 'WEFT_UPDATE_WRONG_LAYOUT' },
    'it started from another adapter': {
      change: { update: { previousAdapterSha256: other } },
      refusal: 'WEFT_UPDATE_WRONG_ADAPTER',
    },
    'it holds the other factor': { change: { update: { factor: 1 } }, refusal: 'WEFT_UPDATE_WRONG_FACTOR' },
    'it is in another ring': { change: { update: { ringBits: 16 } }, refusal: 'WEFT_UPDATE_WRONG_RING' },
    'it has a value too few': { change: { update: { values: 79n } }, refusal: 'WEFT_UPDATE_WRONG_LENGTH' },
    'it is a gigabyte long': { change: { update: { payloadBytes: 2n ** 30n } }, refusal: 'WEFT_UPDATE_WRONG_LENGTH' },
    'its weight is above the cap': { change: { update: { weight: 101n } }, refusal: 'WEFT_UPDATE_WRONG_WEIGHT' },
    'its weight is zero': { change: { update: { weight: 0n } }, refusal: 'WEFT_UPDATE_WRONG_WEIGHT' },
    'it has more saturated values than values': {
      change: { update: { saturatedValues: 10_000n } },
      refusal: 'WEFT_MESSAGE_MALFORMED',
    },
    'it is not what was announced': {
      change: { update: { payloadSha256: other } },
      refusal: 'WEFT_UPDATE_NOT_EXPECTED',
    },
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
    'a coordinate is beyond the ring': {
      change: setWord(3, coordinateCapOf(16) + 1),
      refusal: 'WEFT_UPDATE_WRONG_RING',
    },
    'a coordinate is beyond the ring below zero': {
      change: setWord(5, -coordinateCapOf(16) - 1),
      refusal: 'WEFT_UPDATE_WRONG_RING',
    },
    'a coordinate is as far below zero as its bytes go': {
      change: setWord(0, -(2 ** 23)),
      refusal: 'WEFT_UPDATE_WRONG_RING',
    },
    'its last word is not its weight': {
      change: (payload) => setWord(payload.length / 3 - 1, 99)(payload),
      refusal: 'WEFT_UPDATE_WRONG_WEIGHT',
    },
  };
  test.each(Object.entries(bytes))('%s', async (_, { change, refusal }) => {
    const { loopback, nodes } = await byHand({ rounds: 1, minimum: 2 });
    const [first] = nodes as [LoopbackNode];
    const { runId, round } = first.offer;
    const attack = first.prepare(first.offer, { payload: change });
    await first.say({
      case: 'ready',
      value: {
        runId,
        round,
        payloadSha256: sha256(attack.payload),
        payloadBytes: BigInt(attack.payload.length),
        trainingMs: 1n,
      },
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
    await interrupt(first, prepared, 100);
    expect(await first.status(runId, 0, prepared.payload)).toEqual({ receivedBytes: 100 });
    expect(await refusalOf(first.upload(prepared, { offset: 101 }))).toBe('WEFT_TRANSFER_OFFSET');
    await first.upload(prepared, { offset: 100 });
    expect((await first.status(runId, 0, prepared.payload)).receivedBytes).toBe(prepared.payload.length);
  });

  test('that is short, long, or of other bytes is refused, and can be made good', async () => {
    const { nodes } = await reachCollecting();
    const [first] = nodes as [LoopbackNode];
    const { envelope, payload } = first.prepare(first.offer);
    expect(await refusalOf(first.upload({ envelope, payload: payload.subarray(4) }))).toBe('WEFT_TRANSFER_TRUNCATED');
    expect(await refusalOf(first.upload({ envelope, payload: Buffer.concat([payload, Buffer.alloc(1)]) }))).toBe(
      'WEFT_TRANSFER_TOO_LARGE',
    );
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
    expect((await loopback.runs.offeredBlob(first.id, offered))?.sizeBytes).toBe(
      Number(first.offer.adapter!.sizeBytes),
    );
    expect(await loopback.runs.offeredBlob(first.id, sha256(payload))).toBeUndefined();
    expect(await loopback.runs.offeredBlob(new LoopbackNode(50).id, offered)).toBeUndefined();
  });
});

test('whatever a node says or signs, the runs refuse it with an error of the catalogue', async () => {
  const { loopback, nodes } = await reachCollecting({ rounds: 1 });
  const [first] = nodes as [LoopbackNode];
  const { runId, round, adapter } = first.offer;
  const text = fc.oneof(fc.string(), fc.constantFrom(runId, adapter!.sha256, first.id, 'f'.repeat(64)));
  const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const uint32 = fc.oneof(fc.constant(round), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
  const said = fc.oneof(
    fc.record({
      case: fc.constant('ready' as const),
      value: fc.record({ runId: text, round: uint32, payloadSha256: text, payloadBytes: uint64, trainingMs: uint64 }),
    }),
    fc.record({
      case: fc.constant('evaluation' as const),
      value: fc.record({ runId: text, round: uint32, adapterSha256: text, lossSum: fc.double(), tokens: uint64 }),
    }),
    fc.record({
      case: fc.constant('progress' as const),
      value: fc.record({ runId: text, round: uint32, stage: text, done: uint64 }),
    }),
  );
  const update = fc.record(
    {
      runId: text,
      round: uint32,
      nodeId: text,
      baseModelSha256: text,
      layoutSha256: text,
      payloadSha256: text,
      payloadBytes: uint64,
      values: uint64,
      weight: uint64,
      saturatedValues: uint64,
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(said, update, fc.uint8Array({ maxLength: 60 }), async (message, change, body) => {
      expect(await refusalOf(first.say(message))).toMatch(/^(WEFT_(?!INTERNAL)|nothing)/);
      if (Object.keys(change).length > 0)
        expect(await refusalOf(first.upload(first.prepare(first.offer, { update: change })))).toMatch(
          /^WEFT_(?!INTERNAL)/,
        );
      // Signed garbage: the signature holds, the body is none.
      const garbage = {
        ...first.prepare(first.offer).envelope,
        body,
        signature: signBody(domains.update, body, first.identity),
      };
      expect(await refusalOf(loopback.runs.openUpload(first.id, garbage, 0))).toMatch(/^WEFT_(?!INTERNAL)/);
    }),
    { numRuns: 200 },
  );
  for (const node of nodes) await node.ready(node.offer).then(() => node.upload(node.prepare(node.offer)));
  await loopback.settle();
  expect(eventsOf(loopback, 'round.committed')).toHaveLength(1);
});

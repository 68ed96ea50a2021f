import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAdapterLayout, decodeSum, factorSize, sha256, updateEncoding } from '@weft/shared';
import { expect, test } from 'vitest';
import { Accumulator } from '../aggregation/accumulator.ts';
import { gatherState } from '../aggregation/factor-slices.ts';
import { openDatabase } from '../store/database.ts';
import { type LoopbackNode, loopbackModel, loopbackSpec } from './loopback-node.ts';
import { byHand, loopbackOf, reachCollecting } from './loopback-fixture.ts';
import { eventsOf, refusalOf, type Loopback } from './loopback.ts';

test('rounds run to the end: each update counted, the adapter committed by hash, the loss of each version known', async () => {
  const loopback = await loopbackOf();
  const { runs, nodes } = loopback;
  const { id, adapterSha256 } = await runs.create(loopbackSpec({ rounds: 3 }));
  for (const node of nodes) loopback.connect(node);
  expect(runs.start(id).state).toBe('running');
  await loopback.settle();

  const shown = runs.show(id);
  expect(shown).toMatchObject({ state: 'finished', phase: 'finished', round: 2, rounds: 3, finalHeldOutLoss: 2 });
  expect(
    shown.roundsDone.map(({ factor, phase, contributors, heldOutLoss, heldOutTokens }) => ({
      factor,
      phase,
      contributors,
      heldOutLoss,
      heldOutTokens,
    })),
  ).toEqual(
    ['B', 'A', 'B'].map((factor) => ({
      factor,
      phase: 'finished',
      contributors: 3,
      heldOutLoss: 2,
      heldOutTokens: 60,
    })),
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
  expect(exported.files.map(({ name }) => name)).toEqual([
    'adapter_config.json',
    'adapter_model.safetensors',
    'model.sig',
  ]);
  expect(sha256(Buffer.from(exported.files[1]!.base64, 'base64'))).toBe(shown.adapterSha256);
  await runs.close();
  expect(await readdir(join(loopback.home, 'blobs', 'updates'))).toEqual(['partial']);
});

test('momentum of the server acts on a factor in its own rounds, and leaves the other factor alone', async () => {
  const loopback = await loopbackOf();
  const { id } = await loopback.runs.create(
    loopbackSpec({ rounds: 4, server: { optimizer: 'fedavgm', momentum: 0.5 } }),
  );
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
    const encoding = updateEncoding(loopback.runs.show(id).spec, factorSize(layout, trained));
    const accumulator = new Accumulator(encoding.offered);
    for (const node of loopback.nodes) {
      const offer = node.heard.filter((message) => message.case === 'roundOffer')[round]!;
      accumulator.add(node.prepare(node.readOffer(offer)).payload);
      accumulator.endUpdate();
    }
    const { meanDelta } = decodeSum(encoding, accumulator.sum(), { rotationSeed: '', nodes: 3 });
    const expected = gatherState(layout, before, trained).map((value, i) => 0.5 * value + meanDelta[i]!);
    expect(gatherState(layout, momentum, trained)).toEqual(expected);
    expect(gatherState(layout, momentum, other)).toEqual(gatherState(layout, before, other));
  }
});

test('a finished run that is rolled back exports the older version, and after a restart too', async () => {
  const loopback = await loopbackOf();
  const { runs, nodes, store, home } = loopback;
  const { id } = await runs.create(loopbackSpec({ rounds: 3, server: { optimizer: 'fedavgm' } }));
  for (const node of nodes) loopback.connect(node);
  runs.start(id);
  await loopback.settle();
  const { versions } = runs.show(id);
  expect(versions.map(({ round, roundsCommitted, current }) => [round, roundsCommitted, current])).toEqual([
    [null, 0, false],
    [0, 1, false],
    [1, 2, false],
    [2, 3, true],
  ]);
  const to = versions[1]!.adapterSha256;
  expect(await refusalOf(runs.rollBack(id, { to: 'f'.repeat(64) }))).toBe('WEFT_RUN_VERSION_UNKNOWN');
  expect(await runs.rollBack(id, { to, reason: 'a poisoned round' })).toMatchObject({
    state: 'finished',
    adapterSha256: to,
    roundsCommitted: 1,
  });
  const exported = async (from: Loopback['runs']) => {
    const { files, adapterSha256 } = await from.export(id);
    const file = files.find(({ name }) => name.endsWith('.safetensors'))!;
    return [adapterSha256, sha256(Buffer.from(file.base64, 'base64'))];
  };
  expect(await exported(runs)).toEqual([to, to]);
  expect(runs.show(id).versions.map(({ current }) => current)).toEqual([false, true, false, false]);
  await runs.close();
  store.close();
  const again = await loopbackOf({ home });
  expect(await exported(again.runs)).toEqual([to, to]);
  await rm(join(home, 'blobs', 'adapters', versions[2]!.adapterSha256));
  expect(await refusalOf(again.runs.rollBack(id, { to: versions[2]!.adapterSha256 }))).toBe('WEFT_BLOB_MISSING');
});

test('a run with a gate keeps what it passed, and says so of each round', async () => {
  const loopback = await loopbackOf({
    scorer: { score: async ({ adapterFile }) => ({ lossSum: adapterFile.endsWith(worse) ? 400 : 300, tokens: 100 }) },
  });
  let worse = 'none';
  const { runs, nodes } = loopback;
  const { sha256: dataSha256 } = await runs.takeGateData(Buffer.from('one sentence\n'));
  const gate = { dataSha256, format: 'txt' as const, greatestIncrease: 0.1 };
  const { id, adapterSha256 } = await runs.create({ ...loopbackSpec({ rounds: 1 }), evaluation: { gate } });
  expect(
    await refusalOf(runs.create({ ...loopbackSpec(), evaluation: { gate: { ...gate, dataSha256: 'e'.repeat(64) } } })),
  ).toBe('WEFT_GATE_DATA_MISSING');
  expect(
    await refusalOf(runs.create({ ...loopbackSpec(), evaluation: { gate: { ...gate, format: 'jsonl' } } })),
  ).toMatch(/^WEFT_DATA/);
  // Whatever comes first of this run is refused, by its hash.
  const unsubscribe = loopback.store.subscribe((event) => {
    if (event.kind === 'round.aggregated' && worse === 'none') worse = event.data.adapter.sha256;
  });
  for (const node of nodes) loopback.connect(node);
  runs.start(id);
  await loopback.settle();
  unsubscribe();
  expect(runs.show(id)).toMatchObject({ adapterSha256, roundsCommitted: 0, state: 'running', phase: 'waiting' });
  expect(runs.show(id).roundsDone[0]).toMatchObject({
    phase: 'aborted',
    gate: { lossBefore: 3, lossAfter: 4, tokens: 100, passed: false },
    reason: expect.stringContaining('from 3.0000 to 4.0000, the run allows 3.3000'),
  });
  await runs.close();
  expect(await readdir(join(loopback.home, 'blobs', 'adapters'))).not.toContain(worse);
});

test('what a node says is checked before it counts', async () => {
  const { loopback, nodes } = await byHand();
  const [first] = nodes as [LoopbackNode];
  const { runId, round, adapter } = first.offer;
  const evaluation = { runId, round, adapterSha256: adapter!.sha256, lossSum: 1, tokens: 1n };
  expect(await refusalOf(first.say({ case: 'evaluation', value: { ...evaluation, lossSum: Number.NaN } }))).toBe(
    'WEFT_MESSAGE_MALFORMED',
  );
  expect(
    await refusalOf(first.say({ case: 'evaluation', value: { ...evaluation, adapterSha256: 'f'.repeat(64) } })),
  ).toBe('WEFT_UPDATE_WRONG_ADAPTER');
  expect(await refusalOf(first.say({ case: 'evaluation', value: { ...evaluation, tokens: 2n ** 60n } }))).toBe(
    'WEFT_MESSAGE_MALFORMED',
  );
  expect(
    await refusalOf(
      first.say({
        case: 'ready',
        value: { runId, round: 9, payloadSha256: 'f'.repeat(64), payloadBytes: 1n, trainingMs: 1n },
      }),
    ),
  ).toBe('WEFT_UPDATE_WRONG_ROUND');
  expect(
    await refusalOf(
      first.say({ case: 'ready', value: { runId, round, payloadSha256: '../../x', payloadBytes: 1n, trainingMs: 1n } }),
    ),
  ).toBe('WEFT_MESSAGE_MALFORMED');
  expect(await refusalOf(first.say({ case: 'progress', value: { runId: 'r_none', round } }))).toBe('WEFT_RUN_UNKNOWN');
  expect(eventsOf(loopback, 'evaluation.reported')).toEqual([]);
});

test('a run needs a registered base model and a sound spec, and only one run trains at a time', async () => {
  const loopback = await loopbackOf();
  const { runs } = loopback;
  const spec = loopbackSpec();
  expect(await refusalOf(runs.create({ ...spec, baseModel: { name: 'other', sha256: 'e'.repeat(64) } }))).toBe(
    'WEFT_MODEL_NOT_REGISTERED',
  );
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

test('a node that was revoked when the coordinator died leaves the round when it comes back', async () => {
  const { loopback, nodes } = await reachCollecting({ rounds: 1, minimum: 2 });
  const [first] = nodes as [LoopbackNode];
  const { home, store } = loopback;
  await loopback.runs.close();
  store.append({ kind: 'node.revoked', nodeId: first.id, data: {} });
  const again = await loopbackOf({ home, automatic: false });
  expect(eventsOf(again, 'node.left')).toMatchObject([{ nodeId: first.id, data: { cause: 'revoked' } }]);
});

test('a node that is revoked leaves the round at once', async () => {
  const { loopback, nodes } = await reachCollecting({ rounds: 1, minimum: 2 });
  const [first, ...others] = nodes as [LoopbackNode, LoopbackNode, LoopbackNode];
  for (const node of others) await node.upload(node.prepare(node.offer));
  loopback.store.append({ kind: 'node.revoked', nodeId: first.id, data: {} });
  await loopback.settle();
  expect(eventsOf(loopback, 'round.committed')[0]?.data.nodeIds).toEqual(others.map(({ id }) => id).toSorted());
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { organisationFingerprint, runDetailViewSchema, runViewSchema, sha256, type NodeId } from '@weft/shared';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SecureRun } from '../round/secure-simulation.ts';
import { simulate, simulatedNodes } from '../round/simulation.ts';
import { openStore, type Store } from '../store/store.ts';
import { createRunViews } from './run-views.ts';

let home: string;
let store: Store;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-views-'));
  store = openStore(home);
});
afterEach(async () => {
  store.close();
  await rm(home, { recursive: true });
});

const [a, b, c] = simulatedNodes as [NodeId, NodeId, NodeId];

test('the same rows give the same views, one by one as they come or all at once', () => {
  const simulation = simulate({ rounds: 3, minimum: 2, maximum: 3 });
  const runId = simulation.created.runId!;
  const live = createRunViews(store);
  store.append(simulation.created);
  let stored = 0;
  const seen = () => {
    for (; stored < simulation.events.length; stored++) store.append(simulation.events[stored]!);
    const detail = live.detail(runId);
    expect(createRunViews(store).detail(runId)).toEqual(detail);
    runDetailViewSchema.omit({ privacy: true, boost: true }).parse(detail);
    return detail;
  };
  const nodeIn = (nodeId: NodeId) =>
    seen()
      .roundsDone.at(-1)!
      .nodes.find((node) => node.nodeId === nodeId)!;

  expect(seen()).toMatchObject({ state: 'created', phase: 'waiting', roundsDone: [] });
  simulation.apply({ kind: 'start' });
  for (const nodeId of [a, b, c]) simulation.apply({ kind: 'connected', nodeId });
  expect(seen()).toMatchObject({ state: 'running', phase: 'training', round: 0 });
  simulation.evaluate(a);
  simulation.ready(a);
  simulation.apply({
    kind: 'declined',
    nodeId: c,
    round: 0,
    reason: { code: 'WEFT_DATA_EMPTY', message: 'the file is empty' },
  });
  expect(nodeIn(a)).toMatchObject({ stage: 'ready', heldOutLoss: 2, trainingMs: 5 });
  expect(nodeIn(c)).toMatchObject({ stage: 'declined', reason: 'the file is empty' });
  simulation.apply({ kind: 'pause' });
  expect(seen()).toMatchObject({ state: 'paused', phase: 'paused' });
  simulation.apply({ kind: 'resume' });
  simulation.ready(b);
  simulation.upload(a);
  expect(seen()).toMatchObject({ state: 'running', phase: 'collecting' });
  expect(nodeIn(a)).toMatchObject({ stage: 'accepted', bytesUp: 8 });
  simulation.upload(b);
  simulation.aggregate();
  expect(seen().roundsDone[0]).toMatchObject({
    phase: 'finished',
    contributors: 2,
    heldOutLoss: 2,
    heldOutTokens: 10,
    clippedShare: 0,
  });

  for (const nodeId of [a, b]) simulation.apply({ kind: 'disconnected', nodeId });
  simulation.wait(31_000);
  expect(seen().roundsDone[1]).toMatchObject({ phase: 'aborted', adapterAfter: null });
  expect(seen()).toMatchObject({ roundsCommitted: 1, rounds: 3 });
  simulation.finish();
  const ended = seen();
  expect(ended).toMatchObject({ state: 'finished', phase: 'finished', finalHeldOutLoss: 2, roundsCommitted: 3 });
  expect(ended.roundsDone.filter(({ adapterAfter }) => adapterAfter !== null)).toHaveLength(3);
  expect(ended.roundsDone.some(({ withdrawn }) => withdrawn)).toBe(false);

  // The last adapter was scored; the one before it was not after the last round.
  const [, first, second, third] = ended.versions.map(({ adapterSha256 }) => adapterSha256);
  const withdrawn = () => seen().roundsDone.flatMap((round) => (round.withdrawn ? [round.adapterAfter] : []));
  simulation.apply({ kind: 'rollBack', to: second! });
  expect(withdrawn()).toEqual([third]);
  expect(seen()).toMatchObject({ roundsCommitted: 2, finalHeldOutLoss: null });
  simulation.apply({ kind: 'rollBack', to: first! });
  expect(withdrawn()).toEqual([second, third]);
  // Back to a version that had been withdrawn, and all that it was made from counts again.
  simulation.apply({ kind: 'rollBack', to: third! });
  expect(withdrawn()).toEqual([]);
  expect(seen().finalHeldOutLoss).toBe(2);
  expect(live.runs()).toEqual([live.run(runId)]);
  runViewSchema.parse(live.run(runId));
});

test('a secure round says what its members computed, and who dropped out of it at which step', () => {
  const run = new SecureRun();
  const created = store.append(run.created);
  const views = createRunViews(store);
  let stored = 0;
  const round = () => {
    for (; stored < run.events.length; stored++) store.append(run.events[stored]!);
    return views.detail(created.runId!).roundsDone[0]!;
  };
  const memberships = () => run.ids.map((id) => round().nodes.find(({ nodeId }) => nodeId === id)!.membership);
  const turnUntil = (kind: string): void => {
    while (!run.events.some((event) => event.kind === kind || (event.data as { kind?: string }).kind === kind))
      run.turn();
  };
  run.connect();
  run.apply({ kind: 'start' });
  turnUntil('cohort.fixed');
  expect(memberships()).toEqual(['member', 'member', 'member', 'member', 'member']);
  expect(round().secure).toBeNull();
  // One is there and sends no keys until their time is up, and a second one no input.
  const pass = (heard: readonly NodeId[]): void => {
    run.now += 20_000;
    for (const nodeId of heard) run.apply({ kind: 'heard', nodeId });
    run.apply({ kind: 'timer' });
  };
  const dies = (node: number): void => {
    run.dead.add(node);
    pass(run.ids.filter((_, other) => !run.dead.has(other)));
  };
  const adverts = () => run.events.filter(({ data }) => (data as { kind?: string }).kind === 'keyAdvert').length;
  run.dead.add(0);
  while (adverts() < 4) run.turn();
  while (run.state.phase === 'keys') pass(run.ids);
  expect(round().nodes.find(({ nodeId }) => nodeId === run.ids[0])).toMatchObject({ stage: 'ready' });
  expect(memberships()).toEqual(['dropped', 'member', 'member', 'member', 'member']);
  // Of four: c = 1, t = T = ⌊(4 + 1)/2⌋ + 1 and ⌊0.3 · 4⌋ may drop.
  const sizes = { members: 4, colluders: 1, cutThreshold: 3, dropouts: 1 };
  expect(round().secure).toEqual({ ...sizes, shards: [{ members: 4, colluders: 1, threshold: 3 }] });
  turnUntil('maskedInput');
  dies(4);
  while (run.state.round === 0) run.turn();
  expect(memberships()).toEqual(['dropped', 'summed', 'summed', 'summed', 'dropped']);
  expect(round()).toMatchObject({ phase: 'finished', contributors: 3 });
  runDetailViewSchema.omit({ privacy: true, boost: true }).parse(views.detail(created.runId!));
});

test('a round counts the organisations of its members, says whom its cap left out, and keeps which shards were refused', () => {
  const organisations = ['a', 'a', 'b'].map((digit) => digit.repeat(64));
  const organisationOf = (nodeId: NodeId) => organisations[simulatedNodes.indexOf(nodeId)];
  const simulation = simulate({ rounds: 1, minimum: 2, perOrganisation: 1, organisationOf });
  const runId = simulation.created.runId!;
  const live = createRunViews(store);
  store.append(simulation.created);
  for (const nodeId of [a, b, c]) simulation.apply({ kind: 'connected', nodeId });
  simulation.apply({ kind: 'start' });
  simulation.wait(1_000);
  for (const nodeId of [a, b, c]) simulation.ready(nodeId);
  const { cohort } = simulation.state;
  for (const nodeId of cohort) simulation.upload(nodeId);
  for (const event of simulation.events) store.append(event);
  const last = () => live.detail(runId).roundsDone.at(-1)!;
  expect(last()).toMatchObject({ contributors: 0, organisations: 2, refusedShards: [] });
  expect(last().nodes.find(({ nodeId }) => !cohort.includes(nodeId as NodeId))).toMatchObject({
    stage: 'left',
    vouchedBy: organisationFingerprint(Buffer.from('a'.repeat(64), 'hex')),
    reason: 'its organisation has 1 member in the cohort, as many as cohort.perOrganisation allows',
  });

  const refusedShards = [{ nodeIds: [cohort[0]!], because: 'its weight is 9, 1 node has 1 at most' }];
  const adapter = { sha256: sha256('sum'), sizeBytes: 40 };
  const summed = { adapter, weightSum: 1, refusedShards, deltaNormL2: 1 };
  store.append({ kind: 'round.aggregated', runId, round: 0, data: { ...summed, seconds: 1 } });
  expect(last()).toMatchObject({ organisations: 2, refusedShards });
  const seconds = { training: 1, transfer: 1, aggregation: 1 };
  const data = { ...summed, nodeIds: [cohort[1]!], seconds, bytesDown: {} };
  store.append({ kind: 'round.committed', runId, round: 0, data });
  expect(last()).toMatchObject({ contributors: 1, organisations: 1, refusedShards });
  const standing = last().nodes.map(({ nodeId, membership }) => [cohort.indexOf(nodeId as NodeId), membership]);
  expect(Object.fromEntries(standing)).toEqual({ 0: 'refused', 1: 'summed', '-1': 'none' });
  runDetailViewSchema.omit({ privacy: true, boost: true }).parse(live.detail(runId));
});

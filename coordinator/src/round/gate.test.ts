import type { NodeId } from '@weft/shared';
import { expect, test } from 'vitest';
import { evolve, initialState } from './evolve.ts';
import { simulate, simulatedNodes, simulatedValues, type Simulation } from './simulation.ts';
import { defaultTiming, hasEnded } from './state.ts';

const [a, b, c] = simulatedNodes as [NodeId, NodeId, NodeId];
const kinds = (run: Simulation) => run.events.map(({ kind }) => kind);
const gates = (run: Simulation) =>
  run.effects.flatMap((effect) => (effect.kind === 'gate' ? [effect.adapter.sha256] : []));
const replay: Parameters<Simulation['restart']>[0] = (created, events) =>
  events.reduce(evolve, initialState(created.runId!, created.data, defaultTiming, simulatedValues));

/** Up to a sum that the gate has not seen. */
const summed = (spec: Parameters<typeof simulate>[0]): Simulation => {
  const run = simulate({ minimum: 3, maximum: 3, ...spec });
  run.apply({ kind: 'start' });
  for (const nodeId of [a, b, c]) run.apply({ kind: 'connected', nodeId });
  return toSum(run);
};
const toSum = (run: Simulation): Simulation => {
  for (const nodeId of [a, b, c]) run.ready(nodeId);
  for (const nodeId of [a, b, c]) run.upload(nodeId);
  run.aggregate();
  return run;
};

test('a sum is scored before it is committed: first the adapter before it, and each adapter once in a run', () => {
  const run = summed({ rounds: 2, greatestIncrease: 0.02 });
  expect(run.state).toMatchObject({ phase: 'evaluating', committedRounds: 0 });
  const first = run.state.adapter.sha256;
  run.score(() => 3);
  expect(run.state.phase).toBe('evaluating');
  run.score(() => 3.05);
  expect(run.state).toMatchObject({ phase: 'training', committedRounds: 1, candidate: undefined });
  expect(run.events.find(({ kind }) => kind === 'round.committed')!.data).toMatchObject({
    gate: { before: { lossSum: 30, tokens: 10 }, after: { lossSum: 30.5, tokens: 10 } },
  });
  const second = run.state.adapter.sha256;
  toSum(run).score(() => 2.9);
  expect(gates(run)).toEqual([first, second, run.state.adapter.sha256]);
  expect(run.state.committedRounds).toBe(2);
});

test.each([
  { what: 'worse than allowed', loss: 3.07, said: 'went from 3.0000 to 3.0700, the run allows 3.0600' },
  { what: 'not finite', loss: null, said: 'went from 3.0000 to no finite number, the run allows 3.0600' },
])('an adapter whose loss is $what is not committed, and the next try trains from the one before', ({ loss, said }) => {
  const run = summed({ rounds: 1, greatestIncrease: 0.02 });
  const { adapter } = run.state;
  run.score(() => 3);
  run.score(() => loss);
  expect(run.state).toMatchObject({
    phase: 'waiting',
    adapter,
    committedRounds: 0,
    failedTries: 1,
    candidate: undefined,
  });
  const aborted = run.events.find(({ kind }) => kind === 'round.aborted')!;
  expect(aborted.data).toMatchObject({
    reason: { code: 'WEFT_GATE_REFUSED', message: expect.stringContaining(said) },
    gate: { before: { lossSum: 30 }, after: { lossSum: loss === null ? null : 10 * loss } },
  });
  expect(run.effects.findLast(({ kind }) => kind === 'announceResult')).toMatchObject({
    committed: false,
    adapter,
    reason: 'WEFT_GATE_REFUSED',
  });
  run.wait(defaultTiming.retryMs);
  expect(run.state).toMatchObject({ phase: 'training', round: 1, factor: 'B' });
  toSum(run).score(() => 2.5);
  expect(run.state).toMatchObject({ committedRounds: 1, failedTries: 0 });
});

test('with an increase of nothing the same loss still passes', () => {
  const run = summed({ rounds: 2, greatestIncrease: 0 });
  run.score(() => 3);
  run.score(() => 3);
  expect(run.state.committedRounds).toBe(1);
});

test('without a gate a sum is committed as it is, and only one that is not finite is refused', () => {
  const run = summed({ rounds: 2 });
  expect(gates(run)).toEqual([]);
  expect(run.state.committedRounds).toBe(1);
  expect(kinds(run)).not.toContain('round.aggregated');
  for (const nodeId of [a, b, c]) run.ready(nodeId);
  for (const nodeId of [a, b, c]) run.upload(nodeId);
  run.aggregate(false, false);
  expect(run.state).toMatchObject({ committedRounds: 1, failedTries: 1 });
});

test('killed while it scores, it scores on without adding up again; what was scored stays scored', () => {
  const run = summed({ rounds: 1, greatestIncrease: 0.02 });
  run.restart(replay, 1_000);
  expect(run.state).toMatchObject({ phase: 'evaluating', candidate: { weightSum: 3 } });
  run.score(() => 3);
  run.restart(replay, 1_000);
  run.score(() => 2);
  expect(run.state).toMatchObject({ phase: 'finished', committedRounds: 1, candidate: undefined });
  expect(run.effects.filter(({ kind }) => kind === 'aggregate')).toHaveLength(1);
  expect(kinds(run).filter((kind) => kind === 'gate.scored')).toHaveLength(2);
  expect(run.events.find(({ kind }) => kind === 'round.committed')!.data).toMatchObject({ nodeIds: [a, b, c] });
});

test('a score that comes while the run is paused is kept, and the verdict waits', () => {
  const run = summed({ rounds: 1, greatestIncrease: 0.02 });
  run.apply({ kind: 'pause' });
  run.score(() => 3);
  expect(run.state).toMatchObject({ lifecycle: 'paused', committedRounds: 0 });
  run.apply({ kind: 'resume' });
  run.score(() => 3);
  expect(run.state.committedRounds).toBe(1);
});

test('where nothing can be scored the run pauses with the reason; resuming asks again', () => {
  const run = summed({ rounds: 1, greatestIncrease: 0.02 });
  const { sha256: adapterSha256 } = run.state.adapter;
  const reason = { code: 'WEFT_GATE_NOT_SCORED', message: 'no memory' };
  run.apply({ kind: 'gateFailed', adapterSha256, reason });
  expect(run.state).toMatchObject({ phase: 'paused', reason });
  run.apply({ kind: 'resume' });
  run.score(() => 3);
  run.score(() => 3);
  expect(run.state.committedRounds).toBe(1);
});

test('a late message of a node changes nothing of a round that is being judged', () => {
  const run = summed({ rounds: 1, greatestIncrease: 0.02 });
  expect(run.evaluate(a)).toBeUndefined();
  expect(run.state.participants.get(a)).toMatchObject({ stage: 'accepted', evaluated: true });
  run.apply({ kind: 'connected', nodeId: a });
  expect(run.effects.filter((effect) => effect.kind === 'offer' && effect.work === 'evaluate')).toEqual([]);
});

test('a run whose every try is refused is given up, with what was tried last', () => {
  const run = summed({ rounds: 1, greatestIncrease: 0.02 });
  run.score(() => 3);
  for (let tries = 0; !hasEnded(run.state); tries++) {
    if (tries > defaultTiming.failedTries) throw new Error('it goes on');
    run.score(() => 9);
    run.wait(defaultTiming.longestRetryMs);
    for (const nodeId of [a, b, c]) run.apply({ kind: 'heard', nodeId });
    if (!hasEnded(run.state)) toSum(run);
  }
  expect(run.state).toMatchObject({ lifecycle: 'aborted', committedRounds: 0, reason: { code: 'WEFT_GATE_REFUSED' } });
});

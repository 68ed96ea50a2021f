import type { NodeId } from '@weft/shared';
import { expect, test } from 'vitest';
import { evolve, initialState } from './evolve.ts';
import { simulate, simulatedNodes, simulatedValues, type Simulation } from './simulation.ts';
import { defaultTiming } from './state.ts';

const nodes = simulatedNodes.slice(0, 3) as [NodeId, NodeId, NodeId];
const replay: Parameters<Simulation['restart']>[0] = (created, events) =>
  events.reduce(evolve, initialState(created.runId!, created.data, defaultTiming, simulatedValues));

const round = (run: Simulation): void => {
  if (run.state.spec.evaluation.heldOutShare > 0) run.evaluate(nodes[0]);
  for (const nodeId of nodes) run.ready(nodeId);
  for (const nodeId of nodes) run.upload(nodeId);
  run.aggregate();
};
/** With so many rounds behind it, in the middle of the next. */
const after = (rounds: number, of = 4, more: Partial<Parameters<typeof simulate>[0]> = {}): Simulation => {
  const run = simulate({ minimum: 3, maximum: 3, rounds: of, heldOutShare: 0, ...more });
  run.apply({ kind: 'start' });
  for (const nodeId of nodes) run.apply({ kind: 'connected', nodeId });
  for (let i = 0; i < rounds; i++) round(run);
  return run;
};
const version = (run: Simulation, at: number): string => run.state.versions[at]!.adapter.sha256;
const back = (run: Simulation, to: string) => run.apply({ kind: 'rollBack', to, reason: 'a bad file' });

test('a paused run goes back, and its next round trains the factor that was due after that version', () => {
  const run = after(3);
  expect(run.state).toMatchObject({ factor: 'A', round: 3 });
  run.apply({ kind: 'pause' });
  expect(back(run, version(run, 2))).toBeUndefined();
  expect(run.state).toMatchObject({ lifecycle: 'paused', committedRounds: 2, failedTries: 0 });
  run.apply({ kind: 'resume' });
  expect(run.state).toMatchObject({ phase: 'training', round: 4, factor: 'B', adapter: { sha256: version(run, 2) } });
  expect(run.events.findLast(({ kind }) => kind === 'run.rolledBack')!.data).toEqual({
    adapter: run.state.versions[2]!.adapter,
    from: version(run, 3),
    reason: 'a bad file',
  });
});

test('the round that a pause holds is dropped: its updates are gone, and what it still sends is of no round', () => {
  const run = after(2);
  for (const nodeId of nodes) run.ready(nodeId);
  run.upload(nodes[0]);
  run.apply({ kind: 'pause' });
  back(run, version(run, 1));
  expect(run.events.findLast(({ kind }) => kind === 'round.aborted')).toMatchObject({
    round: 2,
    data: { reason: { code: 'WEFT_ROUND_ROLLED_BACK' } },
  });
  const discarded = run.effects.findLast((effect) => effect.kind === 'discardUpdates')!;
  expect(discarded).toMatchObject({ round: 2 });
  expect(discarded.kind === 'discardUpdates' && discarded.payloads).toHaveLength(1);
  expect(run.upload(nodes[1])).toBe('WEFT_UPDATE_NOT_EXPECTED');
  run.apply({ kind: 'resume' });
  expect(run.state).toMatchObject({ phase: 'training', round: 3 });
});

test('a sum that was still being added up when its round was dropped holds up no later round', () => {
  const run = after(1);
  for (const nodeId of nodes) run.ready(nodeId);
  for (const nodeId of nodes) run.upload(nodeId);
  expect(run.state).toMatchObject({ phase: 'committing', aggregating: true });
  run.apply({ kind: 'pause' });
  back(run, version(run, 0));
  run.apply({ kind: 'resume' });
  run.aggregate();
  expect(run.state.committedRounds).toBe(0);
  round(run);
  expect(run.state).toMatchObject({ committedRounds: 1 });
});

test('an adapter that waits at the gate is dropped with its round, and a later round is judged against the version gone back to', () => {
  const run = after(0, 3, { greatestIncrease: 0 });
  round(run);
  run.score(() => 3);
  run.score(() => 2);
  round(run);
  run.apply({ kind: 'pause' });
  const candidate = run.state.candidate!.adapter.sha256;
  back(run, version(run, 0));
  expect(run.effects.findLast(({ kind }) => kind === 'discardUpdates')).toMatchObject({ adapters: [candidate] });
  run.score(() => 1);
  run.apply({ kind: 'resume' });
  round(run);
  // Worse than what was withdrawn, better than the first.
  run.score(() => 2.5);
  expect(run.state).toMatchObject({ committedRounds: 1, failedTries: 0 });
});

test('a run between two rounds goes back without a pause; one in a round does not', () => {
  const run = after(2);
  expect(back(run, version(run, 1))).toBe('WEFT_RUN_STATE');
  run.apply({ kind: 'disconnected', nodeId: nodes[2] });
  run.wait(defaultTiming.leaseMs + 1);
  expect(run.state.phase).toBe('waiting');
  expect(back(run, version(run, 1))).toBeUndefined();
  expect(run.state).toMatchObject({ phase: 'waiting', committedRounds: 1, adapter: { sha256: version(run, 1) } });
});

test('a finished run stays finished, in the older version; it can go forward again', () => {
  const run = after(2, 2);
  expect(run.state.lifecycle).toBe('finished');
  back(run, version(run, 1));
  expect(run.state).toMatchObject({ lifecycle: 'finished', phase: 'finished', adapter: { sha256: version(run, 1) } });
  back(run, version(run, 2));
  expect(run.state.adapter.sha256).toBe(version(run, 2));
});

test('paused in the evaluation after its last round, it goes back and trains the rounds that are missing', () => {
  const run = after(2, 2, { heldOutShare: 0.1 });
  expect(run.state.phase).toBe('evaluating');
  run.apply({ kind: 'pause' });
  back(run, version(run, 1));
  expect(run.events.filter(({ kind }) => kind === 'round.aborted')).toEqual([]);
  run.apply({ kind: 'resume' });
  expect(run.state).toMatchObject({ phase: 'training', factor: 'A' });
  run.apply({ kind: 'pause' });
  back(run, version(run, 2));
  run.apply({ kind: 'resume' });
  expect(run.state).toMatchObject({ phase: 'evaluating', committedRounds: 2 });
});

test('only to what the run made, and not to where it is', () => {
  const run = after(1);
  run.apply({ kind: 'pause' });
  expect(back(run, 'f'.repeat(64))).toBe('WEFT_RUN_VERSION_UNKNOWN');
  expect(back(run, version(run, 1))).toBe('WEFT_RUN_STATE');
  expect(run.state.committedRounds).toBe(1);
});

test('momentum is what it was after that version, and the rows replay to the same state', () => {
  const run = after(3);
  const momentum = run.state.versions[0]!.adapter;
  const withMomentum = run.events.map((event) =>
    event.kind === 'round.committed' && event.round === 0 ? { ...event, data: { ...event.data, momentum } } : event,
  );
  let state = replay(run.created, withMomentum);
  expect(state.momentum).toBeUndefined();
  state = evolve(state, {
    kind: 'run.rolledBack',
    at: 1,
    data: { adapter: state.versions[1]!.adapter, from: state.adapter.sha256 },
  });
  expect(state).toMatchObject({ momentum, committedRounds: 1 });

  run.apply({ kind: 'pause' });
  back(run, version(run, 1));
  run.apply({ kind: 'resume' });
  const { round: tried, adapter } = run.state;
  run.restart(replay, 1000);
  expect(run.state).toMatchObject({ round: tried, adapter, committedRounds: 1, phase: 'training' });
});

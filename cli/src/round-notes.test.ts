import type { RoundNodeView, RoundView } from '@weft/shared';
import { expect, test } from 'vitest';
import { roundNotes } from './round-notes.ts';

const node = (nodeId: string, stage: RoundNodeView['stage'], reason: string | null): RoundNodeView => ({
  nodeId,
  stage,
  membership: 'none',
  bytesUp: 0,
  bytesDown: 0,
  trainingMs: null,
  heldOutLoss: null,
  vouchedBy: null,
  reason,
});

const round = (number: number, changes: Partial<RoundView>): RoundView => ({
  round: number,
  phase: 'finished',
  factor: 'B',
  startedAt: 0,
  endedAt: 1,
  adapterBefore: 'w',
  adapterAfter: 'x',
  withdrawn: false,
  released: true,
  heldOutLoss: null,
  heldOutTokens: 0,
  contributors: 3,
  organisations: 2,
  secure: null,
  refusedShards: [],
  clippedShare: null,
  saturatedShare: null,
  deltaNormL2: 1,
  clipNormL2: 1,
  withinShare: null,
  gate: null,
  reason: null,
  seconds: { training: 1, transfer: 1, aggregation: 1 },
  nodes: [],
  ...changes,
});

const refused = round(0, {
  refusedShards: [{ nodeIds: ['n_1', 'n_2'], because: 'its weight is 9, 2 nodes have 2 at most' }],
});

test('shards that were refused are told of every round, absences and an abort of the newest one that has any', () => {
  const newest = round(1, {
    phase: 'aborted',
    reason: 'too few',
    nodes: [node('n_1', 'left', 'its organisation has 1 member in the cohort'), node('n_2', 'accepted', null)],
  });
  const ofFirst =
    'round 1: the sum of a shard of 2 nodes was refused: its weight is 9, 2 nodes have 2 at most; --json lists them\n';
  expect(roundNotes({ roundsDone: [refused, newest] })).toBe(
    `round 2 aborted: too few\n${ofFirst}round 2: n_1 left: its organisation has 1 member in the cohort\n`,
  );
  const begun = round(2, { phase: 'training', endedAt: null });
  expect(roundNotes({ roundsDone: [refused, newest, begun] })).toBe(roundNotes({ roundsDone: [refused, newest] }));
  expect(roundNotes({ roundsDone: [newest, refused] })).toBe(ofFirst);
  expect(roundNotes({ roundsDone: [] })).toBe('');
});

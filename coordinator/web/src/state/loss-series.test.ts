import type { RoundView } from '@weft/shared';
import { describe, expect, it } from 'vitest';
import { describeLosses, lossSeries } from './loss-series.ts';

const round = (number: number, heldOutLoss: number | null, adapterAfter: string | null = 'x'): RoundView => ({
  round: number,
  phase: 'committing',
  factor: 'B',
  startedAt: 0,
  endedAt: 1,
  adapterBefore: 'w',
  adapterAfter,
  heldOutLoss,
  heldOutTokens: 10,
  contributors: 3,
  organisations: 0,
  refusedShards: [],
  clippedShare: 0,
  saturatedShare: 0,
  gate: null,
  reason: null,
  deltaNormL2: 1,
  clipNormL2: 1,
  withinShare: null,
  seconds: { training: 1, transfer: 1, aggregation: 1 },
  nodes: [],
});

describe('lossSeries', () => {
  it('puts a loss at the number of rounds that its adapter has behind it', () => {
    const series = lossSeries({ roundsDone: [round(0, 5), round(1, 4)], finalHeldOutLoss: 3.5 });
    expect(series).toEqual({ rounds: [0, 1, 2], losses: [5, 4, 3.5] });
  });

  it('leaves out rounds without a score, and counts only rounds that committed', () => {
    const roundsDone = [round(0, 5), round(1, null), round(2, 4.5, null), round(3, 4.4)];
    const series = lossSeries({ roundsDone, finalHeldOutLoss: 4.2 });
    expect(series).toEqual({ rounds: [0, 2, 3], losses: [5, 4.4, 4.2] });
  });
});

describe('describeLosses', () => {
  it('says in one sentence where the loss went', () => {
    expect(describeLosses({ rounds: [0, 1, 2], losses: [4, 3, 2] })).toBe(
      'Held-out loss went from 4.0000 to 2.0000 nats a token over 2 rounds, down 50.0 %.',
    );
    expect(describeLosses({ rounds: [], losses: [] })).toBe('No loss has been measured yet.');
  });
});

import type { RoundView } from '@weft/shared';
import { describe, expect, it } from 'vitest';
import { describeLosses, describeWithdrawn, lossSeries } from './loss-series.ts';

type Line = Parameters<typeof lossSeries>[0];
type LineRound = Line['roundsDone'][number];

const empty: RoundView = {
  round: 0,
  phase: 'finished',
  factor: 'B',
  startedAt: 0,
  endedAt: 1,
  adapterBefore: '',
  adapterAfter: null,
  withdrawn: false,
  released: true,
  heldOutLoss: null,
  heldOutTokens: 10,
  contributors: 3,
  organisations: 0,
  secure: null,
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
};
/** From one adapter to the next, or to none. */
const round = (adapters: string, heldOutLoss: number | null, withdrawn = false): LineRound => {
  const [adapterBefore = '', adapterAfter] = adapters.split('→');
  return { ...empty, adapterBefore, adapterAfter: adapterAfter || null, heldOutLoss, withdrawn };
};
const series = (roundsDone: LineRound[], finalHeldOutLoss: number | null, adapterSha256: string) =>
  lossSeries({ roundsDone, finalHeldOutLoss, adapterSha256 });

describe('lossSeries', () => {
  it('puts a loss at the number of rounds that its adapter has behind it', () => {
    expect(series([round('a→b', 5), round('b→c', 4)], 3.5, 'c')).toEqual({
      rounds: [0, 1, 2],
      losses: [5, 4, 3.5],
      measured: 'held out',
      withdrawn: 0,
    });
    // The first round is under way.
    expect(series([round('a', 5)], null, 'a')).toMatchObject({ rounds: [0], losses: [5] });
  });

  it('leaves out rounds without a score, and counts only rounds that committed', () => {
    const roundsDone = [round('a→b', 5), round('b→c', null), round('c', 4.5), round('c→d', 4.4)];
    expect(series(roundsDone, 4.2, 'd')).toMatchObject({ rounds: [0, 2, 3], losses: [5, 4.4, 4.2] });
  });

  it('leaves out what a roll-back withdrew: no loss of it is drawn, and it takes no place', () => {
    // Two rounds made c and d, then the run went back to b; one round more is made from there.
    const before = [round('a→b', 5), round('b→c', 4, true), round('c→d', 9, true)];
    expect(series(before, null, 'b')).toMatchObject({ rounds: [0, 1], losses: [5, 4], withdrawn: 2 });
    const after = series([...before, round('b→e', 4.1), round('e', 3.9)], null, 'e');
    expect(after).toMatchObject({ rounds: [0, 1, 2], losses: [5, 4.1, 3.9], withdrawn: 2 });
    expect(describeWithdrawn(after)).toMatch(/^2 rounds that the roll-back withdrew are not drawn/);
  });

  it('takes the gate’s losses where no node let its own leave', () => {
    const gated = (adapters: string, lossBefore: number, lossAfter: number, withdrawn = false): LineRound => ({
      ...round(adapters, null, withdrawn),
      gate: { lossBefore, lossAfter, tokens: 10, passed: !adapters.endsWith('→') },
    });
    const rounds = [gated('a→b', 6, 5), gated('b→', 5, 7), gated('b→c', 5, 4, true), gated('b→d', 5, 4.5)];
    const line = series(rounds, null, 'd');
    expect(line).toEqual({ rounds: [0, 1, 2], losses: [6, 5, 4.5], measured: 'by the gate', withdrawn: 1 });
    expect(describeLosses(line)).toContain('Loss on the gate’s file went from 6.0000 to 4.5000');
  });
});

describe('describeLosses', () => {
  it('says in one sentence where the loss went', () => {
    expect(describeLosses({ rounds: [0, 1, 2], losses: [4, 3, 2], measured: 'held out', withdrawn: 0 })).toBe(
      'Held-out loss went from 4.0000 to 2.0000 nats a token over 2 rounds, down 50.0 %.',
    );
    const none = { rounds: [], losses: [], measured: 'by the gate', withdrawn: 0 } as const;
    expect(describeLosses(none)).toContain('No loss has been measured.');
  });
});

import { describe, expect, it } from 'vitest';
import { roundInDetail, roundOf } from './round-of.ts';

const tries = (...adapters: (string | null)[]) => adapters.map((adapterAfter) => ({ adapterAfter }));

describe('the round that people read', () => {
  it('begins at 1 and never passes the last', () => {
    expect(roundOf({ state: 'created', round: 0, rounds: 3 })).toBe('0 of 3');
    expect(roundOf({ state: 'running', round: 0, rounds: 3 })).toBe('1 of 3');
    expect(roundOf({ state: 'running', round: 7, rounds: 3 })).toBe('3 of 3');
  });

  it('does not count tries that were aborted', () => {
    expect(roundInDetail({ state: 'running', rounds: 3, roundsDone: tries('a', null, null) })).toBe('2 of 3');
    expect(roundInDetail({ state: 'stopped', rounds: 3, roundsDone: tries('a', null) })).toBe('1 of 3');
    expect(roundInDetail({ state: 'finished', rounds: 2, roundsDone: tries('a', null, 'b') })).toBe('2 of 2');
  });
});

import { expect, it } from 'vitest';
import { roundOf } from './round-of.ts';

it('begins at 1, never passes the last, and counts no try that was aborted', () => {
  expect(roundOf({ state: 'created', roundsCommitted: 0, rounds: 3 })).toBe('0 of 3');
  expect(roundOf({ state: 'running', roundsCommitted: 0, rounds: 3 })).toBe('1 of 3');
  expect(roundOf({ state: 'paused', roundsCommitted: 1, rounds: 3 })).toBe('2 of 3');
  expect(roundOf({ state: 'running', roundsCommitted: 3, rounds: 3 })).toBe('3 of 3');
  expect(roundOf({ state: 'stopped', roundsCommitted: 1, rounds: 3 })).toBe('1 of 3');
});

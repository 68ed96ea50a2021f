import { expect, test } from 'vitest';
import { boundedTime, OutOfTime } from './bounded-time.ts';

test('work without an end is ended, and the next work is bounded anew', () => {
  let rounds = 0;
  const forever = (): never => {
    for (;;) rounds++;
  };
  expect(() => boundedTime(20, forever)).toThrow(OutOfTime);
  expect(rounds).toBeGreaterThan(0);
  expect(() => boundedTime(20, () => boundedTime(1_000_000, forever))).toThrow(OutOfTime);
  expect(boundedTime(10_000, () => boundedTime(1, () => 'done'))).toBe('done');
});

test('what the work throws comes out as it was', () => {
  const fault = new RangeError('no');
  const work = (): never => {
    throw fault;
  };
  expect(() => boundedTime(10_000, work)).toThrow(fault);
});

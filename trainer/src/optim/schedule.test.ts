import { expect, it } from 'vitest';
import { scheduleFactor } from './schedule.ts';

// transformers 5.23: get_*_schedule_with_warmup(optimizer, 2[, 6]) with rate 1, seven steps.
it.each([
  ['constant', [0, 0.5, 1, 1, 1, 1, 1]],
  ['linear', [0, 0.5, 1, 0.75, 0.5, 0.25, 0]],
  ['cosine', [0, 0.5, 1, 0.8535533905932737, 0.5, 0.14644660940672627, 0]],
] as const)('%s with warm-up runs as in transformers', (schedule, expected) => {
  expected.forEach((factor, step) => expect(scheduleFactor(schedule, step, 2, 6)).toBeCloseTo(factor, 12));
});

it('without warm-up the first step has the full rate', () => {
  for (const schedule of ['constant', 'linear', 'cosine'] as const) expect(scheduleFactor(schedule, 0, 0, 10)).toBe(1);
});

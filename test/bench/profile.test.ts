import { expect, it } from 'vitest';
import { operatorTable } from './profile.ts';

const node = (op_name: string, dur: number) => ({
  cat: 'Node',
  name: `${op_name}_kernel_time`,
  dur,
  args: { op_name },
});

it('a profile is the sum of the last step alone, the slowest operator first', () => {
  const step = [node('Mul', 1000), node('Gemm', 5000), node('Gemm', 4000)];
  const slow = step.map((one) => ({ ...one, dur: 10 * one.dur }));
  const table = operatorTable([
    { cat: 'Session', name: 'model_run', dur: 1, args: {} },
    ...slow,
    ...step,
    ...step,
    ...step,
  ]);
  expect(table.split('\n').slice(1)).toEqual([
    expect.stringMatching(/^Gemm +2 +9\.0 +90\.0 %$/),
    expect.stringMatching(/^Mul +1 +1\.0 +10\.0 %$/),
    '',
  ]);
});

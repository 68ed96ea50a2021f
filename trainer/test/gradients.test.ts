import { describe, expect, it } from 'vitest';
import { operators } from '../src/ops/table.ts';
import { compareWithDifferences, compareWithGolden } from './check-gradient.ts';
import { differentiableOperators, gradientCases } from './gradient-cases.ts';

describe.each(['cpu', 'portable'] as const)('on %s kernels', (target) => {
  it.each(gradientCases)('$name: outputs and gradients are those of PyTorch', async (test) => {
    expect(await compareWithGolden(test, operators, target)).toEqual([]);
  });

  it.each(gradientCases)('$name: gradients are the central differences of the outputs', async (test) => {
    expect(await compareWithDifferences(test, operators, target)).toEqual([]);
  });
});

it('every gradient rule has a case', () => {
  expect(new Set(gradientCases.map(({ operator }) => operator))).toEqual(new Set(differentiableOperators));
});

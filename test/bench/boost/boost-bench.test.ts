import {
  aggregationRules,
  boostOfRule,
  coordinateCapOf,
  createSeededRandom,
  largestBoost,
  leastUpdates,
  maxQuantizationBits,
  parseRunSpec,
} from '@weft/shared';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { boostRows, boundOf, hostileNormOf, honestUpdates, largestMove, measureBoosts } from './boost-bench.ts';

test.each(aggregationRules)('no attack moves %s farther than its bound', (rule) => {
  fc.assert(
    fc.property(
      fc.integer({ min: leastUpdates(rule, 1), max: 12 }).filter((nodes) => nodes >= 3),
      fc.constantFrom(1, 2, 30),
      fc.constantFrom(0, 0.5, 0.95),
      fc.integer(),
      (nodes, values, common, seed) => {
        const scene = { nodes, values, common };
        const random = createSeededRandom(`boost ${seed}`);
        const { measured } = largestMove(rule, honestUpdates(scene, random), hostileNormOf(scene), random);
        expect(measured).toBeLessThanOrEqual((boundOf(rule, scene).clipNorms ?? Infinity) * (1 + 1e-6));
      },
    ),
    { numRuns: 40 },
  );
});

test('the bound of the median of three is reached', () => {
  const own = { nodes: 3, hostileNorm: 1, byzantine: 1, trimShare: 0.2, radius: 1, iterations: 1 };
  expect(boostOfRule('coordinate-median', own).clipNorms).toBe(2);
});

test('the table says what was found, and where no bound is known', () => {
  const rows = boostRows(measureBoosts({ quick: true }));
  expect(rows).toHaveLength(2 + aggregationRules.length);
  expect(rows.find(([rule]) => rule === 'bulyan')![3]).toBe('no bound');
  const moved = (rule: string): number => Number(rows.find(([name]) => name === rule)![2]);
  const [secure] = rows.slice(1);
  expect(Number(secure![2])).toBeLessThanOrEqual(Number(secure![3]));
  expect(Number(secure![2])).toBeGreaterThan(0.99 * Number(secure![3]));
  expect(moved('mean, plain')).toBeGreaterThan(0.9 * (2 / 7));
});

const spec = (aggregation: object, cohort: object = { minimum: 10, maximum: 10 }) =>
  parseRunSpec({
    name: 'boost',
    baseModel: { name: 'none', sha256: '0'.repeat(64) },
    training: { steps: 1 },
    cohort,
    aggregation,
    rounds: 1,
  });

test('a run says what its mode, weights and ring let one node do', () => {
  const values = 400;
  const plain = (more: object) => largestBoost(spec({ mode: 'plain', ...more }), values).clipNorms!;
  // One clip norm away from where the honest update pulled, which was one itself, and √400 roundings.
  const rounding = 20 / coordinateCapOf(maxQuantizationBits);
  expect(plain({ weighting: 'uniform' })).toBeCloseTo((1 + rounding + 1) / 10, 9);
  expect(plain({ weighting: 'examples', weightCap: 100 })).toBeCloseTo(2 + (100 * rounding) / 10, 9);
  // The radius is in the units of the update.
  const bounded = { weighting: 'uniform', rule: 'norm-bounding', clipNormL2: 10, robust: { radius: 5 } };
  expect(plain(bounded)).toBeCloseTo((0.5 + 0.5) / 10, 9);
  const secure = largestBoost(spec({ weighting: 'uniform' }), values);
  expect(secure.clipNorms).toBeGreaterThan(plain({ weighting: 'uniform' }));
  expect(secure.because).toContain('is not seen');
});

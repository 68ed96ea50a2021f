import {
  aggregationRules,
  boostOfRule,
  coordinateCapOf,
  createSeededRandom,
  largestBoost,
  leastUpdates,
  maxQuantizationBits,
  parseRunSpec,
  updateEncoding,
} from '@weft/shared';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { boostRows, boundOf, hostileNormOf, largestMove, measureBoosts } from './boost-bench.ts';
import { honestUpdates } from './scene.ts';
import { moveUnderMasks } from './under-masks.ts';

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
  expect(rows).toHaveLength(4 + aggregationRules.length);
  expect(rows.find(([rule]) => rule === 'bulyan')![3]).toBe('no bound');
  const moved = (rule: string): number => Number(rows.find(([name]) => name === rule)![2]);
  const [secure] = rows.slice(1);
  expect(Number(secure![2])).toBeLessThanOrEqual(Number(secure![3]));
  expect(Number(secure![2])).toBeGreaterThan(0.95 * Number(secure![3]));
  expect(moved('trimmed-mean, secure, 5 shards')).toBeLessThan(moved('mean, secure, 5 shards') / 3);
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

test('a run in mode plain says what its weights and the range let one node do', () => {
  const values = 400;
  const plain = (more: object) => largestBoost(spec({ mode: 'plain', ...more }), values).clipNorms!;
  // One clip norm away from where the honest update pulled, which was one itself, and √400 roundings.
  const rounding = 20 / coordinateCapOf(maxQuantizationBits);
  expect(plain({ weighting: 'uniform' })).toBeCloseTo((1 + rounding + 1) / 10, 9);
  expect(plain({ weighting: 'examples', weightCap: 100 })).toBeCloseTo(2 + (100 * rounding) / 10, 9);
  // The radius is in the units of the update.
  const bounded = { weighting: 'uniform', rule: 'norm-bounding', clipNormL2: 10, robust: { radius: 5 } };
  expect(plain(bounded)).toBeCloseTo((0.5 + 0.5) / 10, 9);
});

test.each(['mean', 'trimmed-mean'] as const)('no attack that stands the test moves %s under masks farther', (rule) => {
  fc.assert(
    fc.property(
      rule === 'mean' ? fc.constantFrom(3, 20, 129, 257) : fc.constantFrom(513, 700, 1300),
      fc.constantFrom(1, 2, 30),
      fc.constantFrom(0, 0.5, 1),
      fc.integer(),
      (nodes, values, common, seed) => {
        const { measured, bound } = moveUnderMasks(
          { nodes, values, common },
          rule,
          createSeededRandom(`boost ${seed}`),
        );
        expect(measured).toBeLessThanOrEqual(bound!);
      },
    ),
    { numRuns: 25 },
  );
});

test('under masks a tested sum bounds its member: twice its reach, its shard’s share of that, or the shards’ spread', () => {
  const values = 400;
  const secure = (nodes: number, more: object = {}) =>
    largestBoost(spec({ weighting: 'uniform', ...more }, { minimum: nodes, maximum: 1000 }), values);
  const reach = 1 + 20 / 32767;
  expect(secure(10).clipNorms).toBeCloseTo(2 * reach, 9);
  expect(secure(10).because).toContain('counts for more than all its members could is refused');
  expect(secure(256).clipNorms).toBeCloseTo((2 * reach) / 2, 9);
  expect(secure(257).clipNorms).toBeCloseTo((2 * reach * 86) / 257, 9);
  // Its weight may be any.
  const weighted = 2 * (1 + (20 * 100) / 32767);
  expect(secure(10, { weighting: 'examples', weightCap: 100 }).clipNorms).toBeCloseTo(weighted, 9);
  expect(secure(256, { weighting: 'examples', weightCap: 100 }).clipNorms).toBeCloseTo(weighted, 9);
  const trimmed = secure(1000, { secure: { shardRule: 'trimmed-mean' } });
  expect(trimmed.clipNorms).toBeCloseTo((reach * Math.sqrt(14)) / 6, 9);
  expect(trimmed.because).toContain('1 of 8 shards’ means at each end');
});

test('noise makes the longest sum longer by what its own deviation may be', () => {
  const noisy = { ...spec({ weighting: 'uniform' }), evaluation: { heldOutShare: 0 }, privacy: { noiseMultiplier: 1 } };
  const given = parseRunSpec(noisy);
  const { noise, grid } = updateEncoding(given, 400);
  const deviation = Math.sqrt(10 * noise!.nodeVariance);
  const longest = (10 * noise!.normBound + deviation * (Math.sqrt(grid.dim) + 12)) / (10 * grid.scale * 10);
  expect(largestBoost(given, 400).clipNorms).toBeCloseTo(2 * longest, 9);
  expect(largestBoost(given, 400).because).toContain('with its noise');
});

import { aggregationRules, createSeededRandom, leastUpdates, trimmedAtEachEnd } from '@weft/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { aggregateByRule, rangesOf } from './by-ranges.ts';
import { pickByKrum } from './bulyan.ts';
import { Distances } from './distances.ts';
import type { RuleSettings } from './rule.ts';

const settings = (rule: RuleSettings['rule'], robust: Partial<RuleSettings['robust']> = {}): RuleSettings => ({
  rule,
  robust: { byzantine: 1, trimShare: 0.2, radius: 1, iterations: 100, ...robust },
});
const by = (given: RuleSettings, updates: readonly (readonly number[])[], rangeLength?: number): number[] => [
  ...aggregateByRule(
    given,
    updates.map((update) => Float64Array.from(update)),
    rangeLength,
  ),
];
const close = (actual: readonly number[], expected: readonly number[], tolerance = 1e-12): void => {
  expect(actual).toHaveLength(expected.length);
  actual.forEach((value, k) => expect(Math.abs(value - expected[k]!)).toBeLessThanOrEqual(tolerance));
};
const norm = (x: readonly number[]): number => Math.hypot(...x);
const minus = (x: readonly number[], y: readonly number[]): number[] => x.map((value, k) => value - y[k]!);

describe('by hand', () => {
  const line = (...points: number[]): number[][] => points.map((point) => [point]);

  test('the median of an odd number is the middle value, of an even one the mean of the middle two', () => {
    expect(by(settings('coordinate-median'), [[1, 9], [100, 7], [2, -50]])).toEqual([2, 7]); // prettier-ignore
    expect(by(settings('coordinate-median'), line(4, 1, 1000, 2))).toEqual([3]);
  });

  test('the trimmed mean leaves the share out at each end, rounded up, and never all', () => {
    expect(by(settings('trimmed-mean', { trimShare: 0.2 }), line(-1000, 1, 2, 6, 1000))).toEqual([3]);
    expect(by(settings('trimmed-mean', { trimShare: 0 }), line(1, 2, 6))).toEqual([3]);
    expect([trimmedAtEachEnd(5, 0.21), trimmedAtEachEnd(3, 0.4), trimmedAtEachEnd(4, 0.49)]).toEqual([2, 1, 1]);
  });

  test('krum takes the point whose n − f − 2 closest others are closest', () => {
    // n = 6, f = 1, three neighbours: 0 scores 1 + 4 + 9, 1 scores 1 + 1 + 4, 2 the same, 3 as 0. Of 1 and 2,
    // which tie, 1 is closer to all.
    expect(by(settings('krum'), line(3, 10, 0, 2, -9, 1))).toEqual([1]);
  });

  test('multi-krum is the mean of the n − f − 2 with the smallest scores', () => {
    // n = 7, f = 1: four neighbours each; 0, 1, 2, 3 score 14 + 36, 6 + 25, 6 + 16, 14 + 9; 6 scores 9 + 16 + 25 + 36.
    expect(by(settings('multi-krum'), line(50, 0, 1, 2, 3, 6, -70))).toEqual([1.5]);
  });

  test('bulyan picks n − 2f by krum, then of each coordinate the θ − 2f closest to their median', () => {
    const points = [0, 1, 2, 4, 5, 100, 6];
    const distances = new Distances(points.length);
    distances.add(points.map((point) => Float64Array.of(point)));
    // 2 and 4 tie at 18, and 4 is closer to all; then 2 scores 14; 1 and 5 tie at 17; 0 and 1 at 1; 0 and 6 at 36.
    expect(pickByKrum(distances, 1).map((i) => points[i])).toEqual([4, 2, 5, 1, 6]);
    // Median 4: 4, 5, and of 2 and 6, which are equally close, the lower.
    close(by(settings('bulyan'), line(...points)), [11 / 3]);
  });

  test('the geometric median of three points in line is the middle one, of an equilateral triangle its centre', () => {
    close(by(settings('geometric-median', { iterations: 1000 }), line(0, 1, 1000)), [1], 1e-4);
    const height = Math.sqrt(3) / 2;
    close(by(settings('geometric-median'), [[0, 0], [1, 0], [0.5, height]]), [0.5, height / 3]); // prettier-ignore
  });

  test('norm-bounding shortens what is longer than the radius, and nothing else', () => {
    close(by(settings('norm-bounding', { radius: 5 }), [[30, 40], [3, 0]]), [3, 2]); // prettier-ignore
  });

  test('centred clipping goes from zero towards the updates, each pulling by the radius at most', () => {
    // τ = 1: v₁ = (1 + 1 − 1)/3, v₂ = v₁ + ((1 − 1/3) + 1 − 1)/3.
    close(by(settings('centred-clipping', { iterations: 1 }), line(1, 9, -9)), [1 / 3]);
    close(by(settings('centred-clipping', { iterations: 2 }), line(1, 9, -9)), [1 / 3 + 2 / 9]);
  });

  test('the distance from a weighted mean is the one that its vector has', () => {
    const distances = new Distances(3);
    distances.add([Float64Array.of(1, 2), Float64Array.of(-3, 0), Float64Array.of(5, 5)]);
    const weights = [0.2, 0.5, 0.1];
    const z = [0.2 - 1.5 + 0.5, 0.4 + 0.5];
    close(
      distances.fromBarycentre(weights),
      [[1, 2], [-3, 0], [5, 5]].map((x) => norm(minus(x, z))), // prettier-ignore
    );
    expect(distances.norm(1)).toBe(3);
  });
});

const draw = (seed: string, nodes: number, values: number): number[][] => {
  const random = createSeededRandom(seed);
  return Array.from({ length: nodes }, () => Array.from({ length: values }, () => 2 * random.uniform() - 1));
};
const rounds = { numRuns: 30 };

describe.each(aggregationRules)('%s', (rule) => {
  const sizes = fc.integer({ min: Math.max(7, leastUpdates(rule, 1)), max: 14 });

  test('does not depend on the order of the updates, nor on where ranges are cut', () => {
    fc.assert(
      fc.property(fc.string(), sizes, fc.integer({ min: 1, max: 9 }), (seed, nodes, rangeLength) => {
        const updates = draw(seed, nodes, 9);
        const random = createSeededRandom(`order ${seed}`);
        const shuffled = updates
          .map((update) => ({ update, at: random.uniform() }))
          .toSorted((a, b) => a.at - b.at)
          .map(({ update }) => update);
        close(by(settings(rule), shuffled, rangeLength), by(settings(rule), updates), 1e-9);
      }),
      rounds,
    );
  });

  test('gives back what all nodes agree on', () => {
    fc.assert(
      fc.property(fc.string(), sizes, (seed, nodes) => {
        const [agreed] = draw(seed, 1, 4);
        const updates = Array.from({ length: nodes }, () => agreed!.map((value) => value / 4));
        close(by(settings(rule, { radius: 4 }), updates), updates[0]!, 1e-7);
      }),
      rounds,
    );
  });
});

describe('with f of n hostile', () => {
  const boosted = (seed: string, nodes: number, factor: number): { all: number[][]; honest: number[][] } => {
    const [hostile, ...honest] = draw(seed, nodes, 6);
    return { all: [hostile!.map((value) => value * factor), ...honest], honest };
  };
  const factor = fc.constantFrom(-1e6, -1000, -3, 0.5, 3, 1000, 1e6);
  const sizes = fc.integer({ min: 7, max: 14 });

  // Bulyan keeps the θ − 2f values that are closest to a median of which honest ones lie on both sides; of the θ − f honest
  // picks enough are as close, so that what it keeps is no further from the median than an honest one (El Mhamdi et al.
  // 2018, section 4). That may be beyond all of them, by as much as they differ.
  test.each([
    ['coordinate-median', 0],
    ['trimmed-mean', 0],
    ['bulyan', 1],
  ] as const)('each coordinate of %s lies among the honest ones, or beyond by %d of their spread', (rule, slack) => {
    fc.assert(
      fc.property(fc.string(), sizes, factor, (seed, nodes, scale) => {
        const { all, honest } = boosted(seed, nodes, scale);
        const result = by(settings(rule), all);
        result.forEach((value, k) => {
          const column = honest.map((update) => update[k]!);
          const [lowest, highest] = [Math.min(...column), Math.max(...column)];
          const beyond = slack * (highest - lowest) + 1e-12;
          expect(value).toBeGreaterThanOrEqual(lowest - beyond);
          expect(value).toBeLessThanOrEqual(highest + beyond);
        });
      }),
      { numRuns: 60 },
    );
  });

  test('what krum takes is no further from an honest update than two honest ones are from each other', () => {
    fc.assert(
      fc.property(fc.string(), sizes, factor, (seed, nodes, scale) => {
        const { all, honest } = boosted(seed, nodes, scale);
        const result = by(settings('krum'), all);
        // A hostile one that is taken scores no more than an honest one, whose n − f − 2 neighbours can all be honest.
        const nearest = Math.min(...honest.map((x) => norm(minus(result, x))));
        const widest = Math.max(...honest.flatMap((x) => honest.map((y) => norm(minus(x, y)))));
        expect(nearest).toBeLessThanOrEqual(widest);
      }),
      { numRuns: 60 },
    );
  });

  test.each(['krum', 'multi-krum'] as const)('%s never counts an update that is far from all others', (rule) => {
    fc.assert(
      fc.property(fc.string(), sizes, (seed, nodes) => {
        const { all, honest } = boosted(seed, nodes, 1e4);
        const far = all[0]!.some((value) => Math.abs(value) > 100);
        fc.pre(far);
        const highest = Math.max(...honest.map(norm));
        expect(norm(by(settings(rule), all))).toBeLessThanOrEqual(highest);
      }),
      rounds,
    );
  });

  test('the geometric median is within 2(n − f)/(n − 2f) of the honest radius (Lopuhaä and Rousseeuw 1991)', () => {
    fc.assert(
      fc.property(fc.string(), sizes, factor, (seed, nodes, scale) => {
        const { all, honest } = boosted(seed, nodes, scale);
        const bound = ((2 * (nodes - 1)) / (nodes - 2)) * Math.max(...honest.map(norm));
        expect(norm(by(settings('geometric-median', { iterations: 1000 }), all))).toBeLessThanOrEqual(bound);
      }),
      rounds,
    );
  });

  test.each([
    ['norm-bounding', 1],
    ['centred-clipping', 3],
  ] as const)('one node moves %s by 2·radius/n in a step at most', (rule, iterations) => {
    fc.assert(
      fc.property(fc.string(), sizes, factor, (seed, nodes, scale) => {
        const given = settings(rule, { radius: 0.5, iterations });
        const { all, honest } = boosted(seed, nodes, scale);
        const other = boosted(`other ${seed}`, nodes, -scale);
        const moved = norm(minus(by(given, all), by(given, [other.all[0]!, ...honest])));
        expect(moved).toBeLessThanOrEqual((iterations * 2 * 0.5) / nodes + 1e-9);
      }),
      rounds,
    );
  });
});

test('ranges cover every coordinate once, and shorten as nodes grow', () => {
  for (const [values, nodes] of [
    [1, 1],
    [1_000_003, 3],
    [1_000_003, 1024],
  ] as const) {
    // prettier-ignore
    const ranges = [...rangesOf(values, nodes)];
    expect(ranges[0]!.from).toBe(0);
    expect(ranges.at(-1)!.to).toBe(values);
    ranges.slice(1).forEach(({ from }, i) => expect(from).toBe(ranges[i]!.to));
    for (const { from, to } of ranges) expect((to - from) * nodes * 8).toBeLessThanOrEqual(2 ** 25);
  }
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Example } from './encode-records.ts';
import { lengthDistribution } from './length-distribution.ts';
import { packExamples } from './pack-examples.ts';
import { measurePadding } from './padding.ts';

const example = (length: number, first = 1): Example => {
  const inputIds = Int32Array.from({ length }, (_, i) => first + i);
  return { inputIds, labels: inputIds.slice() };
};

test('a packed row holds whole examples one after the other, and the first token of each predicts nothing', () => {
  const [row, ...others] = packExamples([example(2, 10), example(3, 20)], 6);
  expect(others).toEqual([]);
  expect(row).toEqual({
    inputIds: Int32Array.of(20, 21, 22, 10, 11),
    labels: Int32Array.of(-100, 21, 22, -100, 11),
    segmentLengths: [3, 2],
  });
});

test('examples of which no two fit into a row stay as they are', () => {
  const examples = [example(5), example(4), example(6)];
  expect(packExamples(examples, 6)).toEqual(examples);
});

test('packing loses nothing, adds nothing, overfills no row, and leaves no two rows that would fit into one', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 32 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(lengths, (given) => {
      const rows = packExamples(
        given.map((length, index) => example(length, index * 100)),
        32,
      );
      for (const { inputIds, segmentLengths = [inputIds.length] } of rows) {
        expect(inputIds.length).toBeLessThanOrEqual(32);
        expect(segmentLengths.reduce((sum, length) => sum + length, 0)).toBe(inputIds.length);
      }
      const ascending = (lengths: readonly number[]): number[] => lengths.toSorted((a, b) => a - b);
      expect(ascending(rows.flatMap(({ inputIds, segmentLengths = [inputIds.length] }) => segmentLengths))).toEqual(
        ascending(given),
      );
      expect(new Set(rows.flatMap(({ inputIds }) => [...inputIds])).size).toBe(
        given.reduce((sum, length) => sum + length, 0),
      );
      const [emptiest = 32, next = 32] = ascending(rows.map(({ inputIds }) => inputIds.length));
      expect(emptiest + next).toBeGreaterThan(32);
    }),
  );
});

test('padding is counted as the first epoch computes it', () => {
  const examples = [example(32), example(4), example(4), example(4)];
  const options = { batchSize: 2, seed: 0, shuffle: false, sequenceLength: 64 };
  expect(measurePadding(examples, options)).toEqual({ computedTokens: 2 * 32 + 2 * 32, packedTokens: 2 * 64 });
});

test('quantiles are those of the nearest rank', () => {
  expect(lengthDistribution(Array.from({ length: 100 }, (_, i) => 100 - i))).toEqual({
    min: 1,
    median: 50,
    p95: 95,
    max: 100,
  });
  expect(lengthDistribution([])).toEqual({ min: 0, median: 0, p95: 0, max: 0 });
});

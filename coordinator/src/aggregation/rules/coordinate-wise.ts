import { trimmedAtEachEnd } from '@weft/shared';
import type { Combine } from './rule.ts';

/** Calls `reduce` with the sorted values of each coordinate. */
const eachSorted =
  (reduce: (sorted: Float64Array) => number): Combine =>
  (updates, aggregate) => {
    const column = new Float64Array(updates.length);
    for (let k = 0; k < aggregate.length; k++) {
      for (let i = 0; i < column.length; i++) column[i] = updates[i]![k]!;
      aggregate[k] = reduce(column.sort());
    }
  };

/** The value in the middle, or the mean of the two there. */
export const medianOfSorted = (sorted: Float64Array): number => {
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
};

/** Yin et al. 2018, Definition 1. With fewer than half of n hostile each coordinate lies among the honest ones. */
export const coordinateMedian: Combine = eachSorted(medianOfSorted);

/** Yin et al. 2018, Definition 2: of each coordinate the mean without the share β of the largest and of the smallest. */
export const trimmedMean = (trimShare: number): Combine =>
  trimmedMeanBy((values) => trimmedAtEachEnd(values, trimShare));

/** @param cutOf how many of so many values are left out at each end, fewer than half */
export const trimmedMeanBy = (cutOf: (values: number) => number): Combine =>
  eachSorted((sorted) => {
    const cut = cutOf(sorted.length);
    let sum = 0;
    for (let i = cut; i < sorted.length - cut; i++) sum += sorted[i]!;
    return sum / (sorted.length - 2 * cut);
  });

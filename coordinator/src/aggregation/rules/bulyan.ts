import { medianOfSorted } from './coordinate-wise.ts';
import type { Distances } from './distances.ts';
import { byKrumScore, everyone } from './krum.ts';
import type { DistanceRule } from './rule.ts';

/** The θ = n − 2f updates that Krum picks one after the other, each among those that are left. */
export function pickByKrum(distances: Distances, byzantine: number): number[] {
  let left = everyone(distances);
  const picked: number[] = [];
  while (picked.length < distances.nodes - 2 * byzantine) {
    const [best] = byKrumScore(distances, byzantine, left);
    picked.push(best!);
    left = left.filter((i) => i !== best);
  }
  return picked;
}

/**
 * Bulyan of Krum (El Mhamdi et al. 2018, section 4): pick θ = n − 2f updates, then of each coordinate the mean of the
 * β = θ − 2f values closest to the median of the picked. These lie side by side once sorted; of two runs of values that
 * are equally close the lower one counts.
 */
export const bulyan =
  (byzantine: number): DistanceRule =>
  (distances) => {
    const picked = pickByKrum(distances, byzantine);
    const kept = picked.length - 2 * byzantine;
    return (updates, aggregate) => {
      const column = new Float64Array(picked.length);
      for (let k = 0; k < aggregate.length; k++) {
        for (const [at, i] of picked.entries()) column[at] = updates[i]![k]!;
        column.sort();
        const median = medianOfSorted(column);
        let from = 0;
        // The run moves up while the value that it would win is closer than the one that it would lose.
        while (from + kept < column.length && column[from + kept]! - median < median - column[from]!) from++;
        let sum = 0;
        for (let at = from; at < from + kept; at++) sum += column[at]!;
        aggregate[k] = sum / kept;
      }
    };
  };

import type { Distances } from './distances.ts';

/**
 * The candidates from the most trustworthy on: by s(i) = Σ_{i→j} ‖xᵢ − xⱼ‖² over the n − f − 2 closest others
 * (Blanchard et al. 2017, section 4). Two that are each other's closest may tie; then the one closer to all comes
 * first, so that the order of the updates makes no difference, and only of equal ones the first.
 */
export function byKrumScore(distances: Distances, byzantine: number, candidates: readonly number[]): number[] {
  const neighbours = Math.max(1, candidates.length - byzantine - 2);
  const add = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
  return candidates
    .map((i) => {
      const sorted = candidates
        .filter((j) => j !== i)
        .map((j) => distances.squared(i, j))
        .toSorted((a, b) => a - b);
      return { i, score: add(sorted.slice(0, neighbours)), all: add(sorted) };
    })
    .toSorted((a, b) => a.score - b.score || a.all - b.all || a.i - b.i)
    .map(({ i }) => i);
}

export const everyone = ({ nodes }: Distances): number[] => Array.from({ length: nodes }, (_, i) => i);

const meanOf = (chosen: readonly number[], { nodes }: Distances): number[] =>
  Array.from({ length: nodes }, (_, i) => (chosen.includes(i) ? 1 / chosen.length : 0));

/** Krum: the update with the smallest score (Blanchard et al. 2017, section 4). */
export const krum = (byzantine: number) => (distances: Distances) =>
  meanOf(byKrumScore(distances, byzantine, everyone(distances)).slice(0, 1), distances);

/**
 * Multi-Krum: the mean of the m updates with the smallest scores (Blanchard et al. 2017, section 5), m = n − f − 2, the
 * most for which it withstands f (Damaskinos et al. 2019, section 2).
 */
export const multiKrum = (byzantine: number) => (distances: Distances) =>
  meanOf(byKrumScore(distances, byzantine, everyone(distances)).slice(0, distances.nodes - byzantine - 2), distances);

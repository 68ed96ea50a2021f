import type { Distances } from './distances.ts';

/** ν of the smoothed Weiszfeld algorithm: a distance below it counts as it, so that no weight is infinite. */
const smoothing = 1e-6;

/**
 * The point with the smallest sum of distances, by the smoothed Weiszfeld algorithm (Pillutla et al. 2022, Algorithm 2):
 * from the mean on, βᵢ = 1 / max(ν, ‖z − xᵢ‖), z ← Σ βᵢ·xᵢ / Σ βᵢ. All z are weighted means of the updates, so the
 * distances between these are all that it reads.
 * @returns the weights of z
 */
export const geometricMedian = (iterations: number) => (distances: Distances) => {
  let weights: number[] = Array.from({ length: distances.nodes }, () => 1 / distances.nodes);
  for (let step = 0; step < iterations; step++) {
    const pulls = distances.fromBarycentre(weights).map((distance) => 1 / Math.max(smoothing, distance));
    const sum = pulls.reduce((total, pull) => total + pull, 0);
    weights = pulls.map((pull) => pull / sum);
  }
  return weights;
};

import type { Distances } from './distances.ts';

/** min(1, τ/‖·‖) */
const clip = (radius: number, length: number): number => (length > radius ? radius / length : 1);

/** The mean of Δᵢ / max(1, ‖Δᵢ‖/M) (Sun et al. 2019, section 4.2, norm thresholding). */
export const normBounding = (radius: number) => (distances: Distances) =>
  Array.from({ length: distances.nodes }, (_, i) => clip(radius, distances.norm(i)) / distances.nodes);

/**
 * Centred clipping (Karimireddy et al. 2021, Algorithm 2): v ← v + 1/n Σ (xᵢ − v)·min(1, τ/‖xᵢ − v‖), from v = 0 on:
 * the delta of the last round is no guess here, since it may belong to the other LoRA factor.
 * @returns the weights of v; the origin has the rest
 */
export const centredClipping = (radius: number, iterations: number) => (distances: Distances) => {
  let weights: number[] = Array.from({ length: distances.nodes }, () => 0);
  for (let step = 0; step < iterations; step++) {
    const shares = distances.fromBarycentre(weights).map((distance) => clip(radius, distance) / distances.nodes);
    const sum = shares.reduce((total, share) => total + share, 0);
    weights = weights.map((weight, i) => weight * (1 - sum) + shares[i]!);
  }
  return weights;
};

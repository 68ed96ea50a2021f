import { fromRing } from './ring.ts';
import type { RingWords } from './secagg/mask.ts';
import type { UpdateEncoding } from './update-encoding.ts';

/**
 * What no sum of honest updates can be. Under secure aggregation single updates are hidden, and the sum of a session or of
 * a shard is the least that anyone can look at: a member that leaves its range is caught here, or bounded by what n honest
 * ones could reach together. Which member it was, nothing tells.
 *
 * Each of n honest updates has |q| ≤ Q, ‖q‖ ≤ s·C·w/w_max + √d (each of d coordinates is rounded by less than one), and a
 * weight of 1 … w_max. With noise ‖q‖ ≤ c′, and 12 standard deviations of the sum's noise are added to each bound: a
 * normal one is beyond √d + 12 of them with probability e^−72.
 *
 * @param words the sum of one session or shard, without masks, below 2ᵇ each
 * @param nodes n: updates in it
 * @returns what is wrong, with both numbers
 */
export function faultOfSum(encoding: UpdateEncoding, words: RingWords, nodes: number): string | undefined {
  const { form, grid, noise, clipBit, offered } = encoding;
  const { coordinates, weightSum } = fromRing(form, words);
  if (weightSum < nodes || weightSum > nodes * offered.weightCap)
    return `weights of ${nodes} updates add up to ${weightSum}, honest ones to ${nodes} … ${nodes * offered.weightCap}`;
  const deviation = Math.sqrt(nodes * (noise?.nodeVariance ?? 0));
  const reach = nodes * grid.coordinateCap + Math.ceil(12 * deviation);
  let square = 0;
  for (const value of coordinates.subarray(0, grid.dim)) {
    if (Math.abs(value) > reach)
      return `a coordinate of the sum of ${nodes} updates is ${value}, honest ones stay within ±${reach}`;
    square += value * value;
  }
  if (clipBit) {
    const bits = coordinates[grid.dim]!;
    const most = nodes * clipBit.magnitude + Math.ceil(12 * Math.sqrt(nodes * clipBit.nodeVariance));
    if (Math.abs(bits) > most) return `the clip bits of ${nodes} updates add up to ${bits}, honest ones to ±${most}`;
  }
  const longest = noise ? nodes * noise.normBound : longestUpdate(encoding, weightSum, nodes);
  const norm = Math.sqrt(square);
  const most = longest + deviation * (Math.sqrt(grid.dim) + 12);
  if (norm > most)
    return `the sum of ${nodes} updates is ${norm.toPrecision(6)} units long, honest ones ${most.toPrecision(6)} at most`;
  return undefined;
}

/**
 * Without noise, the L2 norm of honest updates' integers at most: s·C·Σw/w_max + n·√d.
 * @param weight Σw
 */
export const longestUpdate = ({ grid, offered }: UpdateEncoding, weight: number, nodes = 1): number =>
  (grid.scale * offered.clipNormL2 * weight) / offered.weightCap + nodes * Math.sqrt(grid.dim);

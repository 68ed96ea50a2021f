import { WeftError } from '../errors/weft-error.ts';
import { ring } from '../ring.ts';
import { rotatedLength } from './rotation.ts';
import { roundedNormBound } from './sensitivity.ts';
import { maxNodeDeviation } from './skellam-table.ts';

/** What a run with noise fixes in public. */
export interface NoiseInput {
  /** Trained values of an update. */
  readonly values: number;
  readonly clipNormL2: number;
  /** z: standard deviation of the sum's noise over c′, when no more than `noisyHonest` honest nodes are in it. */
  readonly noiseMultiplier: number;
  /** n_h: honest survivors that are sure to add their share. */
  readonly noisyHonest: number;
  /** n: nodes of a round at most. */
  readonly nodes: number;
}

/** What every member works out of it, all alike: + − × ÷ √ in float64 alone. */
export interface NoiseSettings {
  readonly values: number;
  readonly clipNormL2: number;
  readonly noiseMultiplier: number;
  /** d: values with the rotation's padding. */
  readonly dim: number;
  /** s, a power of two. */
  readonly scale: number;
  /** Q = ⌈C·s⌉: what one coordinate is cut to before it is rounded. */
  readonly coordinateCap: number;
  /** c′: the L2 norm of the rounded integers at most. */
  readonly normBound: number;
  /** (z·c′)²/n_h, rounded up: the variance of the noise that each node adds. */
  readonly nodeVariance: number;
  /** 12·z·c′·√(n/n_h): as far as the noise of the sum goes. */
  readonly tail: number;
}

/** Rounding may not more than double what a node can move: below that scale the noise would hide the rounding. */
const maxGrowth = 2;

/**
 * The largest power of two as scale that keeps C·s within 15 bits and each node's noise within the sampler's table.
 * @throws WEFT_PRIVACY_NOISE_UNFIT where there is none, or the sum could leave the ring: n·Q + tail ≥ 2^(b−1)
 */
export function noiseSettings({ values, clipNormL2, noiseMultiplier, noisyHonest, nodes }: NoiseInput): NoiseSettings {
  const dim = rotatedLength(values);
  const at = (scale: number) => {
    const normBound = roundedNormBound({ clipNormL2, scale, dim });
    return { normBound, nodeVariance: Math.ceil((noiseMultiplier * normBound) ** 2 / noisyHonest) };
  };
  let scale = 1;
  while (2 * scale * clipNormL2 <= ring.coordinateCap) scale *= 2;
  while (scale * clipNormL2 > ring.coordinateCap) scale /= 2;
  while (at(scale).nodeVariance > maxNodeDeviation ** 2 && at(scale).normBound <= maxGrowth * clipNormL2 * scale)
    scale /= 2;
  const { normBound, nodeVariance } = at(scale);
  const growth = normBound / (clipNormL2 * scale);
  if (nodeVariance > maxNodeDeviation ** 2 || growth > maxGrowth) {
    throw new WeftError(
      'WEFT_PRIVACY_NOISE_UNFIT',
      `noise of deviation ${Math.sqrt(nodeVariance).toPrecision(4)} at each node, the sampler takes ${maxNodeDeviation}: a coarser scale for ${dim} values would let rounding move the sum ${growth.toPrecision(3)} times as far as the clip norm`,
    );
  }
  const coordinateCap = Math.ceil(clipNormL2 * scale);
  const tail = Math.ceil(12 * noiseMultiplier * normBound * Math.sqrt(nodes / noisyHonest));
  const reach = nodes * coordinateCap + tail;
  if (reach >= 2 ** (ring.bits - 1)) {
    throw new WeftError(
      'WEFT_PRIVACY_NOISE_UNFIT',
      `the sum could leave the ring: ${nodes} nodes and their noise reach ${reach}, the limit is ${2 ** (ring.bits - 1)}`,
    );
  }
  return { values, clipNormL2, noiseMultiplier, dim, scale, coordinateCap, normBound, nodeVariance, tail };
}

import { WeftError } from '../errors/weft-error.ts';
import { coordinateCapOf, maxQuantizationBits, quantizationGrid, type QuantizationGrid } from '../quantization.ts';
import { fitsRing, ringBitsFor } from '../ring.ts';
import { rotatedLength } from './rotation.ts';
import { roundedNormBound } from './sensitivity.ts';
import { maxNodeDeviation } from './skellam-table.ts';

/** What a run with noise fixes in public. */
export interface NoiseInput {
  /** Trained values of an update. */
  readonly values: number;
  readonly clipNormL2: number;
  /** q. */
  readonly quantizationBits: number;
  /** z: standard deviation of the sum's noise over c′, when no more than `noisyHonest` honest nodes are in it. */
  readonly noiseMultiplier: number;
  /** n_h: honest survivors that are sure to add their share. */
  readonly noisyHonest: number;
  /** n: nodes of a round at most. */
  readonly nodes: number;
}

/** What every member works out of it, all alike: + − × ÷ √ in float64 alone. Always rotated, and each node counts as one. */
export interface NoiseSettings extends QuantizationGrid {
  readonly clipNormL2: number;
  readonly noiseMultiplier: number;
  /** c′: the L2 norm of the rounded integers at most. */
  readonly normBound: number;
  /** (z·c′)²/n_h, rounded up: the variance of the noise that each node adds. */
  readonly nodeVariance: number;
  /** n·Q + 12·z·c′·√(n/n_h): as far as the sum and its noise go. */
  readonly reach: number;
}

/** Rounding may not more than double what a node can move: below that scale the noise would hide the rounding. */
const maxGrowth = 2;

/**
 * Of 16 bits the largest power of two as scale that keeps C·s within them, of fewer that of the grid; then halved until
 * each node's noise is within the sampler's table.
 * @throws WEFT_PRIVACY_NOISE_UNFIT where there is none, or the sum could leave every ring: n·Q + tail ≥ 2³¹
 */
export function noiseSettings(input: NoiseInput): NoiseSettings {
  const { values, clipNormL2, noiseMultiplier, noisyHonest, nodes } = input;
  const dim = rotatedLength(values);
  const at = (scale: number) => {
    const normBound = roundedNormBound({ clipNormL2, scale, dim });
    return { normBound, nodeVariance: Math.ceil((noiseMultiplier * normBound) ** 2 / noisyHonest) };
  };
  const finest = finestScale(input);
  let { scale } = finest;
  while (at(scale).nodeVariance > maxNodeDeviation ** 2 && at(scale).normBound <= maxGrowth * clipNormL2 * scale)
    scale /= 2;
  const { normBound, nodeVariance } = at(scale);
  const growth = normBound / (clipNormL2 * scale);
  if (nodeVariance > maxNodeDeviation ** 2 || growth > maxGrowth) {
    throw new WeftError(
      'WEFT_PRIVACY_NOISE_UNFIT',
      `noise of deviation ${Math.sqrt(nodeVariance).toPrecision(4)} at each node, the sampler takes ${maxNodeDeviation}: on its scale rounding ${values} values would move the sum ${growth.toPrecision(3)} times as far as the clip norm, ${maxGrowth} times is allowed; raise aggregation.quantizationBits, or train fewer values`,
    );
  }
  const coordinateCap = Math.ceil(finest.coordinateCap * (scale / finest.scale));
  const reach = nodes * coordinateCap + Math.ceil(12 * noiseMultiplier * normBound * Math.sqrt(nodes / noisyHonest));
  if (!fitsRing(ringBitsFor(reach))) {
    throw new WeftError(
      'WEFT_PRIVACY_NOISE_UNFIT',
      `the sum could leave the ring: ${nodes} nodes and their noise reach ${reach}, the limit is ${2 ** 31}`,
    );
  }
  return {
    values,
    isRotated: true,
    clipNormL2,
    noiseMultiplier,
    dim,
    scale,
    coordinateCap,
    normBound,
    nodeVariance,
    reach,
  };
}

/** The scale before noise has a say, and the Q that goes with it. */
function finestScale({ values, clipNormL2, quantizationBits }: NoiseInput): { scale: number; coordinateCap: number } {
  if (quantizationBits < maxQuantizationBits) return quantizationGrid({ values, clipNormL2, quantizationBits });
  const cap = coordinateCapOf(quantizationBits);
  let scale = 1;
  while (2 * scale * clipNormL2 <= cap) scale *= 2;
  while (scale * clipNormL2 > cap) scale /= 2;
  return { scale, coordinateCap: clipNormL2 * scale };
}

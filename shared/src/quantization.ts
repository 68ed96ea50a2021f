import { rotate, rotatedLength, unrotate } from './privacy/rotation.ts';
import type { SeededRandom } from './random.ts';
import type { RingSum } from './ring.ts';

export const minQuantizationBits = 2;
/** At this width updates are not rotated: any coordinate may be as long as the whole update. */
export const maxQuantizationBits = 16;

/** Q = 2^(q−1) − 1: the largest magnitude of a coordinate of q bits. */
export const coordinateCapOf = (quantizationBits: number): number => 2 ** (quantizationBits - 1) - 1;

/**
 * Below 16 bits the range ends at so many standard deviations C/√d of a rotated coordinate of an update of norm C.
 * Where the rotation makes coordinates normal, 6 of 100,000 lie beyond.
 */
export const rangeDeviations = 4;

/** The integers that coordinates are rounded to; all members work out the same one. */
export interface QuantizationGrid {
  /** Trained values of an update. */
  readonly values: number;
  /** Whether they are rotated, so that what lies in one coordinate is spread over a block. */
  readonly isRotated: boolean;
  /** d: the values, with padding to whole blocks where they are rotated. */
  readonly dim: number;
  /** s: integers to a unit of the update. */
  readonly scale: number;
  /** Q. */
  readonly coordinateCap: number;
}

/** 16 bits: s = Q/C. Fewer: rotated, s = Q·√d/(4·C). */
export function quantizationGrid({
  values,
  clipNormL2,
  quantizationBits,
}: {
  values: number;
  clipNormL2: number;
  quantizationBits: number;
}): QuantizationGrid {
  const coordinateCap = coordinateCapOf(quantizationBits);
  if (quantizationBits === maxQuantizationBits)
    return { values, isRotated: false, dim: values, scale: coordinateCap / clipNormL2, coordinateCap };
  const dim = rotatedLength(values);
  const scale = (coordinateCap * Math.sqrt(dim)) / (rangeDeviations * clipNormL2);
  return { values, isRotated: true, dim, scale, coordinateCap };
}

export interface QuantizedUpdate {
  /** [d]: q = round(s·x·w/w_max). */
  readonly coordinates: Int32Array;
  /** L2 norm of the delta before clipping. */
  readonly normL2: number;
  readonly clipped: boolean;
  /** Coordinates that the range cut off. */
  readonly saturatedValues: number;
}

export interface QuantizationInput {
  readonly clipNormL2: number;
  readonly weight: number;
  readonly weightCap: number;
  /** Public, the same for all members of a round. */
  readonly rotationSeed: string;
  readonly random: SeededRandom;
}

/**
 * Clip to L2 norm C, rotate where the grid says so, scale by s·w/w_max, saturate at ±Q, round stochastically (unbiased:
 * floor(y + u), u uniform in [0, 1)).
 *
 * A rounding has variance f·(1 − f) ≤ 1/4 of a unit at a fraction f, so the mean over n updates of equal weight w = w_max
 * is off by √(n·d)/(2·s·n) in L2 norm at most, in root mean square: C·√d/(2·Q·√n) at 16 bits, and below that
 * 4·C/(2·Q·√n) whatever d is, which is 0.29·C/√n at 4 bits and 0.016·C/√n at 8; what the range cuts off comes on top.
 * Updates of a smaller weight lie on the same grid, so w_max/w times as much of them is lost.
 * (Suresh, Yu, Kumar, McMahan 2017, Distributed mean estimation with limited communication, sections 2 and 3.)
 * @param delta adapter after local training − adapter before, finite
 * @returns undefined where a value is NaN or infinite
 */
export function quantizeUpdate(
  delta: Float32Array,
  grid: QuantizationGrid,
  { clipNormL2, weight, weightCap, rotationSeed, random }: QuantizationInput,
): QuantizedUpdate | undefined {
  const normL2 = l2Norm(delta);
  if (!Number.isFinite(normL2)) return undefined;
  const { isRotated, coordinateCap } = grid;
  const clipped = normL2 > clipNormL2;
  const factor = grid.scale * (weight / weightCap) * (clipped ? clipNormL2 / normL2 : 1);
  const spread = isRotated ? rotate(delta, rotationSeed) : delta;
  const coordinates = new Int32Array(grid.dim);
  let saturatedValues = 0;
  for (let i = 0; i < coordinates.length; i++) {
    const rounded = Math.floor(spread[i]! * factor + random.uniform());
    const saturated = Math.max(-coordinateCap, Math.min(coordinateCap, rounded));
    if (saturated !== rounded) saturatedValues++;
    coordinates[i] = saturated;
  }
  return { coordinates, normL2, clipped, saturatedValues };
}

export const l2Norm = (values: Float32Array): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

/**
 * Δ̄ = Σ q · w_max / (s · Σ w), and back from the rotation.
 * @returns [values], float64; see {@link quantizeUpdate} for how far it is from the mean of the clipped updates
 */
export function dequantizeSum(
  { coordinates, weightSum }: RingSum,
  grid: QuantizationGrid,
  { weightCap, rotationSeed }: { weightCap: number; rotationSeed: string },
): Float64Array {
  const unit = weightCap / (grid.scale * weightSum);
  const mean = Float64Array.from(coordinates, (sum) => sum * unit);
  return grid.isRotated ? unrotate(mean, rotationSeed, grid.values) : mean;
}

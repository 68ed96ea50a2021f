import type { SeededRandom } from './random.ts';

/**
 * Sums of updates as integers in Z₂³²: exact, and the same bits in any order. First form: each value is a signed
 * 16-bit integer in a 32-bit word, one public scale in every round. The weight travels as one more word.
 */
export const ring = {
  bits: 32,
  /** Largest magnitude of one quantised coordinate, 2¹⁵ − 1. */
  coordinateCap: 2 ** 15 - 1,
  wordBytes: 4,
} as const;

/** s = (2¹⁵ − 1) / C: maps a coordinate of a delta clipped to L2 norm C into the coordinate's range. */
export const ringScale = (clipNormL2: number): number => ring.coordinateCap / clipNormL2;

export interface QuantizedUpdate {
  /** [values + 1]: q = round(s·x·w/w_max) as two's complement, then the weight w. */
  readonly words: Uint32Array;
  /** L2 norm of the delta before clipping. */
  readonly normL2: number;
  readonly clipped: boolean;
  /** Coordinates that the cap cut off. */
  readonly saturatedValues: number;
}

/**
 * Clip to L2 norm C, scale by s·w/w_max, saturate, round stochastically (unbiased: floor(y + u), u uniform in [0, 1)).
 * @param delta adapter after local training − adapter before, finite
 * @returns undefined where a value is NaN or infinite
 */
export function quantizeUpdate(
  delta: Float32Array,
  {
    clipNormL2,
    weight,
    weightCap,
    random,
  }: { clipNormL2: number; weight: number; weightCap: number; random: SeededRandom },
): QuantizedUpdate | undefined {
  const normL2 = Math.sqrt(delta.reduce((sum, value) => sum + value * value, 0));
  if (!Number.isFinite(normL2)) return undefined;
  const clipped = normL2 > clipNormL2;
  const factor = ringScale(clipNormL2) * (weight / weightCap) * (clipped ? clipNormL2 / normL2 : 1);
  const words = new Uint32Array(delta.length + 1);
  let saturatedValues = 0;
  for (let i = 0; i < delta.length; i++) {
    const rounded = Math.floor(delta[i]! * factor + random.uniform());
    const saturated = Math.max(-ring.coordinateCap, Math.min(ring.coordinateCap, rounded));
    if (saturated !== rounded) saturatedValues++;
    words[i] = saturated;
  }
  words[delta.length] = weight;
  return { words, normL2, clipped, saturatedValues };
}

/** accumulator += words, mod 2³². */
export function addToRing(accumulator: Uint32Array, words: Uint32Array): void {
  for (let i = 0; i < words.length; i++) accumulator[i]! += words[i]!;
}

export interface DequantizedSum {
  /** Δ̄ = Σ w·x / Σ w, float64. */
  readonly meanDelta: Float64Array;
  readonly weightSum: number;
}

/** Δ̄ = Σ q · w_max / (s · Σ w); each coordinate is within n·w_max / (s · Σ w) of the float64 mean of the clipped updates. */
export function dequantizeSum(
  accumulator: Uint32Array,
  { clipNormL2, weightCap }: { clipNormL2: number; weightCap: number },
): DequantizedSum {
  const values = accumulator.length - 1;
  const weightSum = accumulator[values]!;
  const unit = weightCap / (ringScale(clipNormL2) * weightSum);
  const meanDelta = new Float64Array(values);
  for (let i = 0; i < values; i++) meanDelta[i] = (accumulator[i]! | 0) * unit;
  return { meanDelta, weightSum };
}

/** x = q/s of one update that travels without masks and with weight 1 of 1. */
export function dequantizeValues(words: Uint32Array, clipNormL2: number): Float64Array {
  const scale = ringScale(clipNormL2);
  return Float64Array.from(words, (word) => (word | 0) / scale);
}

/** Words as the bytes that travel: little-endian, four bytes a word. */
export function ringWordsToBytes(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(words.length * ring.wordBytes);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < words.length; i++) view.setUint32(i * ring.wordBytes, words[i]!, true);
  return bytes;
}

/** @param bytes a multiple of four */
export function bytesToRingWords(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const words = new Uint32Array(bytes.length / ring.wordBytes);
  for (let i = 0; i < words.length; i++) words[i] = view.getUint32(i * ring.wordBytes, true);
  return words;
}

/** What keeps a sum of `nodes` updates inside the ring: n·(2¹⁵ − 1) < 2³¹ and n·w_max < 2³². */
export const ringLimits = (nodes: number, weightCap: number) => ({
  coordinateSum: nodes * ring.coordinateCap,
  coordinateLimit: 2 ** (ring.bits - 1),
  weightSum: nodes * weightCap,
  weightLimit: 2 ** ring.bits,
});

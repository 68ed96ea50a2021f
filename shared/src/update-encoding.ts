import * as privacy from './privacy/index.ts';
import { dequantizeSum, quantizationGrid, type QuantizationGrid, type QuantizedUpdate } from './quantization.ts';
import { fromRing, ringBitsFor, ringForm, type RingForm, signedWords, toRing, wordsOf } from './ring.ts';
import type { RunSpec } from './run-spec.ts';
import type { RingWords } from './secagg/mask.ts';
import { packedBytes, packWords, WordUnpacker } from './secagg/packing.ts';

/** What an offer of secure aggregation says of the vector that is summed; each node holds it against its own reckoning. */
export interface OfferedEncoding {
  /** Of the vector: coordinates, with padding where they are rotated, and what the weight needs. */
  readonly words: number;
  /** b. */
  readonly bits: number;
  readonly scale: number;
  readonly clipNormL2: number;
  /** The largest weight that one node may have. */
  readonly weightCap: number;
  readonly noiseMultiplier: number;
  /** Honest survivors that the noise of a sum rests on; a node signs no cut with fewer. */
  readonly noisyHonest: number;
}

/** What a run's spec and the number of trained values fix about an update; both sides work it out. */
export interface UpdateEncoding {
  readonly offered: OfferedEncoding;
  readonly grid: QuantizationGrid;
  readonly form: RingForm;
  /** Of a run with noise. */
  readonly noise: privacy.NoiseSettings | undefined;
  /** Of a run that adapts its clip norm: what one more coordinate behind the others says of a node's norm. */
  readonly clipBit: privacy.ClipBit | undefined;
  /** ⌈words·b/8⌉: what one update takes on the wire and on disk. */
  readonly payloadBytes: number;
}

/**
 * The ring's width follows: the smallest b that no sum over cohort.maximum nodes overflows. In mode plain it is rounded up
 * to whole bytes, so that the coordinator can read any range of coordinates of an update by itself.
 * @param clipNormL2 of this round; another one than the spec's where the run adapts it
 * @throws WEFT_PRIVACY_NOISE_UNFIT
 */
export function updateEncoding(
  spec: RunSpec,
  values: number,
  clipNormL2: number = spec.aggregation.clipNormL2,
): UpdateEncoding {
  const { weighting, quantizationBits, secure, mode } = spec.aggregation;
  const nodes = spec.cohort.maximum;
  const noise = noiseOf(spec, values, clipNormL2);
  const grid = noise ?? quantizationGrid({ values, clipNormL2, quantizationBits });
  const weightCap = weighting === 'uniform' ? 1 : spec.aggregation.weightCap;
  const least = ringBitsFor(noise?.reach ?? nodes * grid.coordinateCap);
  const bits = mode === 'plain' ? 8 * Math.ceil(least / 8) : least;
  const clipBit = spec.privacy?.adaptiveClipping
    ? privacy.clipBit({ nodes: spec.cohort.minimum, noisyHonest: secure.smallestSurvivors, most: nodes, bits })
    : undefined;
  const form = ringForm({ dim: grid.dim + (clipBit ? 1 : 0), bits, nodes, weightCap });
  const words = wordsOf(form);
  return {
    offered: {
      words,
      bits,
      scale: grid.scale,
      clipNormL2,
      weightCap,
      noiseMultiplier: noise?.noiseMultiplier ?? 0,
      noisyHonest: noise ? secure.smallestSurvivors : 0,
    },
    grid,
    form,
    noise,
    clipBit,
    payloadBytes: packedBytes(words, bits),
  };
}

/**
 * @returns undefined for a run without noise
 * @throws WEFT_PRIVACY_NOISE_UNFIT
 */
function noiseOf(
  { privacy: section, aggregation, cohort }: RunSpec,
  values: number,
  clipNormL2: number,
): privacy.NoiseSettings | undefined {
  if (section === undefined) return undefined;
  const { noiseMultiplier, adaptiveClipping } = section;
  return privacy.noiseSettings({
    values,
    clipNormL2,
    quantizationBits: aggregation.quantizationBits,
    noiseMultiplier: adaptiveClipping
      ? privacy.vectorNoiseMultiplier(noiseMultiplier, cohort.minimum)
      : noiseMultiplier,
    noisyHonest: aggregation.secure.smallestSurvivors,
    nodes: cohort.maximum,
  });
}

/** What a round costs a node that is in it; undefined for a run without noise, which no number could count. */
export function costOfUpdate({ noise, clipBit, offered }: UpdateEncoding): privacy.Spending | undefined {
  const vector = noise && privacy.costOfRound(noise);
  return vector && clipBit ? privacy.costOfAdaptiveRound(vector, clipBit, offered.noisyHonest) : vector;
}

/**
 * An update as it lies on the node's disk, and as it leaves in mode plain.
 * @param clipBit with its noise, in a run that adapts its clip norm
 */
export function payloadOf(
  { form }: UpdateEncoding,
  { coordinates }: QuantizedUpdate,
  { weight, clipBit = 0 }: { weight: number; clipBit?: number },
): Uint8Array {
  const values = new Int32Array(form.dim);
  if (form.dim > coordinates.length) values[coordinates.length] = clipBit;
  values.set(coordinates);
  return packWords(toRing(form, values, weight), form.bits);
}

export interface DecodedSum {
  /** Δ̄, [values], float64. */
  readonly meanDelta: Float64Array;
  readonly weightSum: number;
  /** Of a run that adapts its clip norm: the noised share of updates within it. */
  readonly withinShare?: number;
}

/**
 * The mean of a round's updates. With noise they are divided by their number, which everyone knows.
 * @param words a sum of updates with the masks taken off, below 2ᵇ each
 * @param round nodes: updates in the sum
 */
export function decodeSum(
  { form, grid, noise, clipBit, offered: { weightCap } }: UpdateEncoding,
  words: RingWords,
  { rotationSeed, nodes }: { rotationSeed: string; nodes: number },
): DecodedSum {
  const sum = fromRing(form, words);
  const weightSum = noise ? nodes : sum.weightSum;
  const coordinates = sum.coordinates.subarray(0, grid.dim);
  return {
    meanDelta: dequantizeSum({ coordinates, weightSum }, grid, { weightCap, rotationSeed }),
    weightSum,
    ...(clipBit && { withinShare: privacy.withinShareOf(sum.coordinates[grid.dim]!, clipBit, nodes) }),
  };
}

/**
 * Coordinates of one update, as the rules that look at each read them in mode plain: not rotated, and of weight 1 of 1.
 * @param bytes whole words of a range of its payload
 */
export function decodeRange({ form: { bits }, grid: { scale } }: UpdateEncoding, bytes: Uint8Array): Float64Array {
  const words = new WordUnpacker(bits, (8 * bytes.length) / bits).read(bytes);
  return Float64Array.from(signedWords(words, bits), (value) => value / scale);
}

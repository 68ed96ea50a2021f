import { maxRingBits, minRingBits, reduceWords, type RingWords, ringWords } from './secagg/mask.ts';

/**
 * A vector of integers as words of the ring Z₂ᵇ: d signed coordinates, then the weight in as many words as it needs, so
 * that no sum over the nodes of a round leaves its word. Sums are exact, and the same bits in any order.
 */
export interface RingForm {
  /** d: its coordinates. */
  readonly dim: number;
  /** b, 8 … 32. */
  readonly bits: number;
  /** The weight is cut into so many limbs, the lowest first, … */
  readonly limbs: number;
  /** … of so many bits: n·(2ᵏ − 1) < 2ᵇ. */
  readonly limbBits: number;
}

/**
 * The smallest b in which a signed sum of this magnitude fits: reach < 2^(b−1).
 * @returns 8 and more; 33 where there is no such ring, for a reach that is no number, too
 */
export function ringBitsFor(reach: number): number {
  let bits = minRingBits;
  while (bits <= maxRingBits && !(reach < 2 ** (bits - 1))) bits++;
  return bits;
}

export const fitsRing = (bits: number): boolean => bits <= maxRingBits;

/** @param nodes n at most, below 2^(b−1) since each has a coordinate of 1 or more */
export function ringForm({
  dim,
  bits,
  nodes,
  weightCap,
}: {
  dim: number;
  bits: number;
  nodes: number;
  weightCap: number;
}): RingForm {
  let limbBits = 1;
  while (nodes * (2 ** (limbBits + 1) - 1) < 2 ** bits) limbBits++;
  let limbs = 1;
  while (2 ** (limbs * limbBits) <= weightCap) limbs++;
  return { dim, bits, limbs, limbBits };
}

/** Words of a vector of this form. */
export const wordsOf = ({ dim, limbs }: RingForm): number => dim + limbs;

/**
 * @param values [d], two's complement where they are negative
 * @returns [d + limbs]
 */
export function toRing(form: RingForm, values: Int32Array, weight: number): RingWords {
  const words = ringWords(form.bits, wordsOf(form));
  words.set(values);
  let left = weight;
  for (let limb = 0; limb < form.limbs; limb++) {
    words[form.dim + limb] = left % 2 ** form.limbBits;
    left = Math.floor(left / 2 ** form.limbBits);
  }
  reduceWords(words, form.bits);
  return words;
}

export interface RingSum {
  /** Σ q, [d]. */
  readonly coordinates: Int32Array;
  readonly weightSum: number;
}

/** @param words [d + limbs], a sum of vectors of this form, below 2ᵇ each */
export function fromRing(form: RingForm, words: RingWords): RingSum {
  let weightSum = 0;
  for (let limb = form.limbs - 1; limb >= 0; limb--)
    weightSum = weightSum * 2 ** form.limbBits + words[form.dim + limb]!;
  return { coordinates: signedWords(words.subarray(0, form.dim), form.bits), weightSum };
}

/** Words of the ring as the signed integers that they stand for, −2^(b−1) … 2^(b−1) − 1. */
export function signedWords(words: RingWords, bits: number): Int32Array {
  const above = 32 - bits;
  const signed = new Int32Array(words.length);
  for (let i = 0; i < words.length; i++) signed[i] = (words[i]! << above) >> above;
  return signed;
}

/** accumulator += words. The sums run over b bits until they are reduced. */
export function addToRing(accumulator: RingWords, words: RingWords): void {
  for (let i = 0; i < words.length; i++) accumulator[i] = (accumulator[i]! + words[i]!) | 0;
}

/**
 * The Skellam distribution with means λ, λ as a table of 128-bit integers: P[X = k] = e^(−x)·I_|k|(x), x = 2λ its
 * variance. All integer arithmetic: a sampler in floating point has gaps that show which value noise was added to
 * (Mironov 2012, On significance of the least significant bits for differential privacy).
 */
export interface SkellamTable {
  /** Integer: each node's share of the noise is rounded up. */
  readonly variance: number;
  /** K: no value beyond ±K is drawn; P[|X| > K] < 2⁻¹⁰⁰. */
  readonly cut: number;
  /**
   * P[|X| ≤ k] · 2¹²⁸ for k = 0 … K−1, given |X| ≤ K, rounded down; the most significant word first, one array a word.
   * That of K is 2¹²⁸.
   */
  readonly cumulative: readonly [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
}

/** σ ≤ 2¹³: 12 σ of 16 bytes are 1.5 MiB of table, built in some tens of milliseconds. */
export const maxNodeDeviation = 2 ** 13;
const tailBits = 100n;
const cdfBits = 128n;
/** Each of up to 131,200 steps loses less than one unit, and all weights together exceed 2²⁰⁰ units. */
const seedBits = 32n;

/**
 * Statistical distance between a draw and the distribution: the tail cut off, and 2⁻¹²⁸ an entry of fewer than 2¹⁷.
 * It is added to δ once for every value that is released (facts: d·rounds·2⁻⁹⁹).
 */
export const samplerDistance = ({ dim, rounds }: { dim: number; rounds: number }): number => dim * rounds * 2 ** -99;

/**
 * Weights in proportion to I_k(x), k = 0 … N, by Miller's backward recurrence I_{k−1} = I_{k+1} + (2k/x)·I_k
 * (Abramowitz and Stegun 9.6.26; Gautschi 1967, Computational aspects of three-term recurrence relations).
 * With N = 16σ + 128 what the start leaves out is below a part in 2¹⁶⁰ of each value within 12σ.
 */
export function besselWeights(variance: number): bigint[] {
  const order = Math.ceil(16 * Math.sqrt(variance)) + 128;
  const weights = Array.from({ length: order + 1 }, () => 0n);
  const x = BigInt(variance);
  let above = 0n;
  let weight = 1n << seedBits;
  for (let k = order; k >= 0; k--) {
    weights[k] = weight;
    const below = above + (BigInt(2 * k) * weight) / x;
    above = weight;
    weight = below;
  }
  return weights;
}

let latest: SkellamTable | undefined;

/**
 * All updates of a run have one variance, so the latest table is kept.
 * @param variance x, an integer from 1 to 2²⁶
 * @throws RangeError for any other
 */
export function skellamTable(variance: number): SkellamTable {
  if (latest?.variance !== variance) latest = buildTable(variance);
  return latest;
}

function buildTable(variance: number): SkellamTable {
  if (!Number.isInteger(variance) || variance < 1 || variance > maxNodeDeviation ** 2)
    throw new RangeError(`a variance of ${variance}; integers from 1 to ${maxNodeDeviation ** 2} are supported`);
  const weights = besselWeights(variance);
  const twice = (k: number): bigint => (k === 0 ? weights[0]! : 2n * weights[k]!);
  // I_0 + 2·Σ I_k = e^x (9.6.37): the weights are their own measure, and e^x is never needed.
  let total = 0n;
  for (let k = 0; k < weights.length; k++) total += twice(k);
  let cut = weights.length - 1;
  for (let beyond = twice(cut); beyond << tailBits < total; beyond += twice(cut)) cut--;
  let kept = 0n;
  for (let k = 0; k <= cut; k++) kept += twice(k);
  const cumulative = [new Uint32Array(cut), new Uint32Array(cut), new Uint32Array(cut), new Uint32Array(cut)] as const;
  let sum = 0n;
  for (let k = 0; k < cut; k++) {
    sum += twice(k);
    const value = (sum << cdfBits) / kept;
    cumulative.forEach((words, place) => (words[k] = Number((value >> BigInt(96 - 32 * place)) & 0xffff_ffffn)));
  }
  return { variance, cut, cumulative };
}

import { WeftError } from '../errors/weft-error.ts';
import { ringBitsFor } from '../ring.ts';
import { skellamRdpOf } from './accountant.ts';
import { createSecretRandom, drawSkellam } from './noise.ts';
import { maxNodeDeviation, samplerDistance, skellamTable } from './skellam-table.ts';
import { addSpending, type Spending } from './spending.ts';

/**
 * A clip norm that follows the median norm of the updates (Andrew, Thakkar, McMahan, Ramaswamy 2021, Differentially
 * private learning with adaptive clipping). Whether a node's update was within the norm is one more bit that is
 * released, so it travels masked with noise of its own, and is paid for.
 */

/** The paper's learning rate, and the quantile that is aimed at. */
const rate = 0.2;
const quantile = 0.5;

/**
 * C ← C·exp(−0.2·(b − 0.5)).
 * @param withinShare b: noised share of the nodes whose update was no longer than C, within 0 … 1
 */
export const nextClipNorm = (clipNormL2: number, withinShare: number): number =>
  clipNormL2 * Math.exp(-rate * (withinShare - quantile));

/** |ln(C′/C)| at most, from one round to the next. */
const longestStep = rate * Math.max(quantile, 1 - quantile);

/** Whether a norm can come of another one in so many rounds; to a hair, since the exponential differs between machines. */
export const clipNormFollows = (before: number, after: number, rounds: number): boolean =>
  Math.abs(Math.log(after / before)) <= longestStep * rounds + 1e-9;

/** σ_b = m/20, in bits: the deviation of the noise in the number of nodes within the norm. */
const bitDeviation = (nodes: number): number => nodes / 20;

/**
 * What is left to the vector when the bit has had its part of z: (z⁻² − (2σ_b)⁻²)^(−1/2).
 * @param nodes m: updates of a sum
 * @throws WEFT_PRIVACY_NOISE_UNFIT where m ≤ 10·z: the bit's noise alone would cost as much as all of z allows
 */
export function vectorNoiseMultiplier(noiseMultiplier: number, nodes: number): number {
  if (nodes <= 10 * noiseMultiplier) {
    throw new WeftError(
      'WEFT_PRIVACY_NOISE_UNFIT',
      `${nodes} nodes are too few to adapt the clip norm at a noise multiplier of ${noiseMultiplier}: it takes more than ${10 * noiseMultiplier}`,
    );
  }
  return 1 / Math.sqrt(1 / (noiseMultiplier * noiseMultiplier) - 1 / (2 * bitDeviation(nodes)) ** 2);
}

export interface ClipBit {
  /** K: the bit travels as +K or −K. */
  readonly magnitude: number;
  /** (2·K·σ_b)²/n_h, rounded up: the variance of the noise that each node adds. */
  readonly nodeVariance: number;
}

/**
 * The largest power of two as K whose noise the sampler's table reaches, and whose sum over all nodes does not leave the
 * ring that the vector needs anyway.
 * @param nodes m: the fewest that a sum is made of; with more of them the bit's noise is the less
 * @param most n: nodes of a round at most
 * @param bits b
 * @throws WEFT_PRIVACY_NOISE_UNFIT where not even K = 1 fits
 */
export function clipBit({
  nodes,
  noisyHonest,
  most,
  bits,
}: {
  nodes: number;
  noisyHonest: number;
  most: number;
  bits: number;
}): ClipBit {
  const variance = (magnitude: number): number => Math.ceil((2 * magnitude * bitDeviation(nodes)) ** 2 / noisyHonest);
  const fits = (magnitude: number): boolean => {
    const reach = most * magnitude + Math.ceil(12 * Math.sqrt(most * variance(magnitude)));
    return variance(magnitude) <= maxNodeDeviation ** 2 && ringBitsFor(reach) <= bits;
  };
  if (!fits(1)) {
    throw new WeftError(
      'WEFT_PRIVACY_NOISE_UNFIT',
      `the noise of the clip bit of ${most} nodes does not fit into a ring of ${bits} bits; raise aggregation.quantizationBits`,
    );
  }
  let magnitude = 1;
  while (fits(2 * magnitude)) magnitude *= 2;
  return { magnitude, nodeVariance: variance(magnitude) };
}

/** What a node adds to its vector: +K where its update was no longer than the clip norm, −K where it was, and noise. */
export const noisyClipBit = ({ magnitude, nodeVariance }: ClipBit, isWithin: boolean, key: Uint8Array): number =>
  (isWithin ? magnitude : -magnitude) + drawSkellam(skellamTable(nodeVariance), createSecretRandom(key));

/** b = ½ + Σ(±K + noise)/(2·K·n), cut to 0 … 1, where it would lie without the noise. */
export const withinShareOf = (sum: number, { magnitude }: ClipBit, nodes: number): number =>
  Math.max(0, Math.min(1, 0.5 + sum / (2 * magnitude * nodes)));

/** The vector's cost, at what {@link vectorNoiseMultiplier} left to it, and the bit's: one node moves it by K. */
export function costOfAdaptiveRound(
  vector: Spending,
  { magnitude, nodeVariance }: ClipBit,
  noisyHonest: number,
): Spending {
  const bit = skellamRdpOf({ l1: magnitude, l2: magnitude, scale: 1, variance: nodeVariance * noisyHonest });
  return addSpending(vector, { rdp: bit, delta: samplerDistance({ dim: 1, rounds: 1 }) });
}

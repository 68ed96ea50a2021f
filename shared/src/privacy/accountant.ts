import { roundedNormBound } from './sensitivity.ts';

/** Rényi orders at which everything is counted: 2 … 256. A vector of divergences has one value an order, in this order. */
export const renyiOrders: readonly number[] = Array.from({ length: 255 }, (_, k) => k + 2);

/** ln Γ of whole numbers: ln n! by summation, exact to a few ulp where it is used. */
const logFactorials = new Float64Array(258);
for (let n = 2; n < logFactorials.length; n++) logFactorials[n] = logFactorials[n - 1]! + Math.log(n);
const logBinomial = (n: number, k: number): number => logFactorials[n]! - logFactorials[k]! - logFactorials[n - k]!;

function logSumExp(terms: readonly number[]): number {
  const largest = terms.reduce((most, term) => Math.max(most, term), Number.NEGATIVE_INFINITY);
  return largest + Math.log(terms.reduce((sum, term) => sum + Math.exp(term - largest), 0));
}

/**
 * One step of the Gaussian mechanism on a Poisson sample:
 * RDP(a) = 1/(a−1) · ln Σₖ C(a,k)·(1−q)^(a−k)·q^k·exp((k²−k)/(2σ²)); a/(2σ²) where q = 1
 * (Mironov, Talwar, Zhang 2019, Rényi differential privacy of the sampled Gaussian mechanism, section 3.3).
 * @param samplingShare q, in (0, 1]
 * @param noiseMultiplier σ: standard deviation over sensitivity
 */
export function gaussianRdp({
  samplingShare: q,
  noiseMultiplier,
}: {
  samplingShare: number;
  noiseMultiplier: number;
}): Float64Array {
  const double = 2 * noiseMultiplier ** 2;
  return Float64Array.from(renyiOrders, (a) => {
    if (q === 1) return a / double;
    const terms = Array.from(
      { length: a + 1 },
      (_, k) => logBinomial(a, k) + (a - k) * Math.log1p(-q) + k * Math.log(q) + (k * k - k) / double,
    );
    return logSumExp(terms) / (a - 1);
  });
}

/**
 * One round of Skellam noise on integers, every node taking part:
 * a·D₂²/(2μ) + min(((2a−1)·s·D₂² + 6·D₁)/(4·s³·μ²), 3·D₁/(2·s·μ)) in real units, D₂ = c′/s, D₁ = min(√d·D₂, s·D₂²),
 * μ the variance of the sum over s² (Agarwal, Kairouz, Liu 2021, The Skellam mechanism, theorem 3.5).
 * @param noiseMultiplier z: standard deviation of the sum's noise over c′
 */
export function skellamRdp({
  noiseMultiplier,
  clipNormL2,
  scale,
  dim,
}: {
  noiseMultiplier: number;
  clipNormL2: number;
  scale: number;
  dim: number;
}): Float64Array {
  const l2 = roundedNormBound({ clipNormL2, scale, dim }) / scale;
  const l1 = Math.min(Math.sqrt(dim) * l2, scale * l2 ** 2);
  return skellamRdpOf({ l1, l2, scale, variance: (noiseMultiplier * l2) ** 2 });
}

/** The same from the sensitivities D₁ and D₂ and the variance μ of the sum, all in real units. */
export function skellamRdpOf({
  l1,
  l2,
  scale,
  variance,
}: {
  l1: number;
  l2: number;
  scale: number;
  variance: number;
}): Float64Array {
  return Float64Array.from(
    renyiOrders,
    (a) =>
      (a * l2 ** 2) / (2 * variance) +
      Math.min(
        ((2 * a - 1) * scale * l2 ** 2 + 6 * l1) / (4 * scale ** 3 * variance ** 2),
        (3 * l1) / (2 * scale * variance),
      ),
  );
}

export interface Epsilon {
  readonly epsilon: number;
  /** The order at which the conversion is tightest. */
  readonly order: number;
}

/**
 * ε = min over a of RDP(a) + ln(1 − 1/a) − ln(δ·a)/(a − 1), never below 0
 * (Canonne, Kamath, Steinke 2020, The discrete Gaussian for differential privacy, proposition 12).
 * @param rdp summed over all steps, one value an order
 */
export function epsilonOf(rdp: Float64Array, delta: number): Epsilon {
  let best: Epsilon = { epsilon: Number.POSITIVE_INFINITY, order: renyiOrders[0]! };
  renyiOrders.forEach((order, k) => {
    const epsilon = rdp[k]! + Math.log1p(-1 / order) - Math.log(delta * order) / (order - 1);
    if (epsilon < best.epsilon) best = { epsilon, order };
  });
  return { ...best, epsilon: Math.max(0, best.epsilon) };
}

/** Divergences of steps that were taken one after the other add up, order by order. */
export const repeated = (rdp: Float64Array, steps: number): Float64Array => rdp.map((value) => value * steps);

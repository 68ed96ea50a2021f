/**
 * Shamir's secret sharing, byte by byte over GF(2⁸) with the polynomial x⁸+x⁴+x³+x+1 (0x11b): any `threshold` shares
 * give the secret back, fewer say nothing about it. (A. Shamir, How to share a secret, CACM 22(11), 1979.)
 */

const fieldOrder = 255;
// Powers and logarithms of the generator 3, twice as long so that a sum of two logarithms needs no reduction.
const powers = new Uint8Array(2 * fieldOrder);
const logarithms = new Uint8Array(256);
for (let exponent = 0, value = 1; exponent < fieldOrder; exponent++) {
  powers[exponent] = value;
  powers[exponent + fieldOrder] = value;
  logarithms[value] = exponent;
  const doubled = (value << 1) ^ (value & 0x80 ? 0x11b : 0);
  value ^= doubled;
}

const multiply = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : powers[logarithms[a]! + logarithms[b]!]!);
/** @param b not zero */
const divide = (a: number, b: number): number => (a === 0 ? 0 : powers[logarithms[a]! + fieldOrder - logarithms[b]!]!);

/** Most shares of one secret: x runs over 1 … 255. */
export const maxShares = 255;

/**
 * @param secret any length; `coefficients` holds threshold − 1 times as many bytes, uniform and used once
 * @param shares how many; share k is the polynomial at x = k + 1
 * @returns [shares], each as long as the secret
 */
export function splitSecret(
  secret: Uint8Array,
  { threshold, shares, coefficients }: { threshold: number; shares: number; coefficients: Uint8Array },
): Uint8Array[] {
  if (threshold < 2 || threshold > shares || shares > maxShares)
    throw new RangeError(`${threshold} of ${shares} shares: 2 ≤ threshold ≤ shares ≤ ${maxShares}`);
  const size = secret.length;
  if (coefficients.length !== size * (threshold - 1))
    throw new RangeError(`${coefficients.length} bytes of coefficients, ${size * (threshold - 1)} needed`);
  return Array.from({ length: shares }, (_, place) => {
    const x = place + 1;
    const share = new Uint8Array(size);
    // Horner, from the highest coefficient down: coefficient of x^k stands at (k − 1)·size.
    for (let k = threshold - 1; k > 0; k--) {
      const at = (k - 1) * size;
      for (let i = 0; i < size; i++) share[i] = multiply(share[i]! ^ coefficients[at + i]!, x);
    }
    for (let i = 0; i < size; i++) share[i]! ^= secret[i]!;
    return share;
  });
}

/** λ_k = Π_{l≠k} x_l / (x_l − x_k): the weights of shares at `places` in the value at zero. Subtraction is XOR. */
export function weightsAtZero(places: readonly number[]): Uint8Array {
  if (new Set(places).size !== places.length) throw new RangeError('a place came twice');
  return Uint8Array.from(places, (place) => {
    let weight = 1;
    for (const other of places) {
      if (other !== place) weight = multiply(weight, divide(other + 1, (other + 1) ^ (place + 1)));
    }
    return weight;
  });
}

/**
 * The value at zero of the polynomial through the shares: the secret, where they are `threshold` or more of its own.
 * @param weights of {@link weightsAtZero} for the places of the shares, in the same order
 */
export function combineShares(shares: readonly Uint8Array[], weights: Uint8Array): Uint8Array {
  const secret = new Uint8Array(shares[0]?.length ?? 0);
  shares.forEach((share, k) => {
    for (let i = 0; i < secret.length; i++) secret[i]! ^= multiply(share[i]!, weights[k]!);
  });
  return secret;
}

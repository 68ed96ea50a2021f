/** β of {@link roundedNormBound}: rounding is drawn again until the bound holds, which fails with at most this probability. */
const beta = Math.exp(-0.5);

/**
 * c′: the largest L2 norm of an update in integers, after stochastic rounding of one whose norm was c = C·s before.
 * c′ = min(c + √d, √(c² + d/4 + √(2·ln(1/β))·(c + √d/2)))
 * (Kairouz, Liu, Steinke 2021, The distributed discrete Gaussian mechanism, theorem 1.)
 * @param scale s: integers to a unit of the update
 * @param dim d: values, padding included
 */
export function roundedNormBound({
  clipNormL2,
  scale,
  dim,
}: {
  clipNormL2: number;
  scale: number;
  dim: number;
}): number {
  const clipped = clipNormL2 * scale;
  const root = Math.sqrt(dim);
  return Math.min(
    clipped + root,
    Math.sqrt(clipped ** 2 + dim / 4 + Math.sqrt(2 * Math.log(1 / beta)) * (clipped + root / 2)),
  );
}

/** Of lengths in tokens. */
export interface LengthDistribution {
  readonly min: number;
  readonly median: number;
  readonly p95: number;
  readonly max: number;
}

/** Quantiles by nearest rank; zeros where there is nothing. */
export function lengthDistribution(lengths: readonly number[]): LengthDistribution {
  const sorted = Int32Array.from(lengths).toSorted();
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { min: at(0), median: at(0.5), p95: at(0.95), max: at(1) };
}

/**
 * How much a privacy claim can be shown to be wrong by: an attacker looks at releases with and without one node's
 * canary and guesses which is which (Jagielski, Ullman, Oprea 2020, Auditing differentially private machine learning).
 */
export interface Scores {
  /** Of releases that hold the canary: higher where the attacker sees more of it. */
  readonly inside: readonly number[];
  /** Of releases where that node contributed zero. */
  readonly outside: readonly number[];
}

/**
 * A lower bound on ε that holds with this confidence: ln((TPR − δ)/FPR) at the ends of their Clopper-Pearson intervals.
 * The threshold is chosen on the even scores and judged on the odd ones, so that choosing it proves nothing.
 */
export function empiricalEpsilon(
  { inside, outside }: Scores,
  { delta, confidence }: { delta: number; confidence: number },
): number {
  const half = (scores: readonly number[], parity: number): number[] => scores.filter((_, i) => i % 2 === parity);
  const bound = (threshold: number, parity: number): number => {
    const above = (scores: readonly number[]): number => scores.filter((score) => score > threshold).length;
    const [hits, alarms] = [half(inside, parity), half(outside, parity)];
    const miss = (1 - confidence) / 2;
    const least = proportionBound(above(hits), hits.length, miss, 'lower');
    const most = proportionBound(above(alarms), alarms.length, miss, 'upper');
    return Math.max(0, Math.log(Math.max(0, least - delta) / most));
  };
  let best = { threshold: 0, epsilon: Number.NEGATIVE_INFINITY };
  const sorted = half(
    [...inside, ...outside].toSorted((a, b) => a - b),
    0,
  );
  const stride = Math.ceil(sorted.length / 100);
  for (let i = 0; i < sorted.length; i += stride) {
    const epsilon = bound(sorted[i]!, 0);
    if (epsilon > best.epsilon) best = { threshold: sorted[i]!, epsilon };
  }
  return bound(best.threshold, 1);
}

/** One end of the Clopper-Pearson interval of a proportion: by bisection on the binomial tail. */
export function proportionBound(successes: number, trials: number, miss: number, end: 'lower' | 'upper'): number {
  if (end === 'upper') return 1 - proportionBound(trials - successes, trials, miss, 'lower');
  if (successes === 0) return 0;
  let low = 0;
  let high = successes / trials;
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    if (upperTail(successes, trials, middle) < miss) low = middle;
    else high = middle;
  }
  return low;
}

/** P[Bin(n, p) ≥ k] for k above the mean: each term from the one before, until they no longer count. */
function upperTail(k: number, n: number, p: number): number {
  let logTerm = k * Math.log(p) + (n - k) * Math.log1p(-p);
  for (let i = 1; i <= k; i++) logTerm += Math.log((n - k + i) / i);
  let term = Math.exp(logTerm);
  let sum = 0;
  for (let i = k; i <= n && term > sum * 1e-17; i++) {
    sum += term;
    term *= ((n - i) / (i + 1)) * (p / (1 - p));
  }
  return sum;
}

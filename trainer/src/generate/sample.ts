import type { SeededRandom } from '@weft/shared';

export interface SamplingOptions {
  /** 0 takes the likeliest token; 1 draws from the model's own distribution. */
  readonly temperature: number;
  /** Draws among the likeliest tokens that together have this probability (Holtzman et al. 2020, section 3.1). */
  readonly topP: number;
}

/** The next token's id. The same logits, options and state of `random` give the same id. */
export function sample(logits: Float32Array, { temperature, topP }: SamplingOptions, random: SeededRandom): number {
  const best = likeliest(logits);
  if (temperature === 0) return best;
  const largest = logits[best] ?? 0;
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - largest) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const ids = Array.from(weights.keys()).filter((id) => (weights[id] ?? 0) > 0);
  // Equal weights stand in the order of their ids, so that the choice does not depend on the sort.
  if (topP < 1) ids.sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b);
  let kept = 0;
  let count = 0;
  while (count < ids.length && (topP === 1 || count === 0 || kept < topP * total))
    kept += weights[ids[count++] ?? 0] ?? 0;
  let left = random.uniform() * kept;
  for (const id of ids.slice(0, count)) {
    left -= weights[id] ?? 0;
    if (left < 0) return id;
  }
  return ids[count - 1] ?? best;
}

/** The first of the largest. */
function likeliest(logits: Float32Array): number {
  let best = 0;
  let largest = logits[0] ?? 0;
  for (let id = 1; id < logits.length; id++) {
    const logit = logits[id] ?? 0;
    if (logit > largest) [best, largest] = [id, logit];
  }
  return best;
}

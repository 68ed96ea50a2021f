import { evaluate, type Example, type Model } from '@weft/trainer';
import type { DemoRecipe } from './recipe.ts';

/** What the demo will take on this machine, predicted from a forward pass over a few rows. */
export interface DemoEstimate {
  readonly trainingSeconds: number;
  readonly scoringSeconds: number;
  readonly totalSeconds: number;
}

/** What the machine and the data are like. */
export interface DemoWork {
  readonly nodes: number;
  /** Tokens of the public held-out text, all languages together. */
  readonly heldOutTokens: number;
  readonly forwardTokensPerSecond: number;
}

/** A LoRA step is a forward pass, a backward pass through the same products, and the factors' own gradients. */
const stepCostInForwardPasses = 2.6;
/** Processes and handshakes; then sessions, each node's score of the adapter, and a new version, each round. */
const overheadSeconds = { demo: 12, round: 2 };

/**
 * @returns tokens a second of the forward pass. The first pass pays for opening the session; what the longer second one
 * takes more is the passes themselves, counted as at least half of its time, since a busy machine disturbs either.
 */
export async function measureForward(
  model: Model,
  rows: readonly Example[],
  threads: number,
  signal: AbortSignal,
): Promise<number> {
  const repeats = 4;
  const tokens = rows.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  const timeMs = async (examples: readonly Example[]): Promise<number> => {
    const started = performance.now();
    await evaluate({ model, examples, threads, device: 'cpu', batchSize: rows.length, signal });
    return performance.now() - started;
  };
  const onceMs = await timeMs(rows);
  const oftenMs = await timeMs(Array.from({ length: repeats }, () => rows).flat());
  const passesMs = Math.max((oftenMs - onceMs) * (repeats / (repeats - 1)), oftenMs / 2);
  return (1000 * repeats * tokens) / passesMs;
}

/** The same steps are done twice, by the federation and by the local adapters. */
export function estimateDemo(
  { rounds, training }: DemoRecipe,
  { nodes, heldOutTokens, forwardTokensPerSecond }: DemoWork,
): DemoEstimate {
  const trainedTokens = 2 * nodes * rounds * training.steps * training.batchSize * training.sequenceLength;
  const trainingSeconds = (trainedTokens * stepCostInForwardPasses) / forwardTokensPerSecond;
  const scoredAdapters = nodes + 2; // the base model, the federated one, one local adapter a node
  const scoringSeconds = (scoredAdapters * heldOutTokens) / forwardTokensPerSecond;
  const totalSeconds = overheadSeconds.demo + rounds * overheadSeconds.round + trainingSeconds + scoringSeconds;
  return { trainingSeconds, scoringSeconds, totalSeconds };
}

/** The recipe with as many rounds as fit into the limit, two at a time, and at least its fewest. */
export function fitRecipe(recipe: DemoRecipe, work: DemoWork, limitSeconds: number): DemoRecipe {
  let fitted = recipe;
  while (fitted.rounds > fitted.fewestRounds && estimateDemo(fitted, work).totalSeconds > limitSeconds) {
    fitted = { ...fitted, rounds: Math.max(fitted.fewestRounds, fitted.rounds - 2) };
  }
  return fitted;
}

/** What a gate's file may be. Parquet is left out: the file is public, so a readable one serves everybody better. */
export const gateFormats = ['jsonl', 'txt', 'md', 'csv'] as const;

/** It is scored in every round, so a file that takes longer than the training serves nobody: some four million tokens. */
export const maxGateDataBytes = 16 * 2 ** 20;

/** What one adapter scored on the gate's file. */
export interface GateScore {
  /** Nats over all counted tokens; null where it is not finite. */
  readonly lossSum: number | null;
  readonly tokens: number;
}

export interface GateComparison {
  /** Of the adapter that the round began with. */
  readonly before: GateScore;
  /** Of the one that would follow. */
  readonly after: GateScore;
}

/** Nats a token; null where it is not finite. */
export const lossOf = ({ lossSum, tokens }: GateScore): number | null =>
  lossSum === null || !Number.isFinite(lossSum) || tokens <= 0 ? null : lossSum / tokens;

/**
 * Whether an adapter passes: both losses are finite, over the same tokens, and the one after is at most
 * `before · (1 + greatestIncrease)`. In float64, so that whoever reads the numbers in the log says the same.
 */
export function isKeptByGate({ before, after }: GateComparison, greatestIncrease: number): boolean {
  const from = lossOf(before);
  const to = lossOf(after);
  return from !== null && to !== null && before.tokens === after.tokens && to <= from * (1 + greatestIncrease);
}

/** With both numbers. @returns undefined where the adapter passes */
export function refusalOfGate(comparison: GateComparison, greatestIncrease: number): string | undefined {
  if (isKeptByGate(comparison, greatestIncrease)) return undefined;
  const [from, to] = [lossOf(comparison.before), lossOf(comparison.after)];
  const shown = (loss: number | null): string => (loss === null ? 'no finite number' : loss.toFixed(4));
  const allowed = from === null ? '' : `, the run allows ${(from * (1 + greatestIncrease)).toFixed(4)}`;
  return `the loss on the gate's file went from ${shown(from)} to ${shown(to)}${allowed} (evaluation.gate.greatestIncrease)`;
}

import type { RunDetailView } from '@weft/shared';
import { formatLoss } from '../format.ts';

export interface LossSeries {
  /** Rounds that the scored adapter has behind it; 0 is the base model with an adapter that changes nothing yet. */
  readonly rounds: readonly number[];
  /** Nats a token on what the nodes hold back, token-weighted. */
  readonly losses: readonly number[];
}

/** A round scores the adapter that it starts from; the last adapter is scored when the run ends. */
export const lossSeries = (run: Pick<RunDetailView, 'roundsDone' | 'finalHeldOutLoss'>): LossSeries => {
  const points = new Map<number, number>();
  let committed = 0;
  for (const { heldOutLoss, adapterAfter } of run.roundsDone) {
    // the try after a round that was aborted scores the same adapter again
    if (heldOutLoss !== null) points.set(committed, heldOutLoss);
    if (adapterAfter !== null) committed += 1;
  }
  if (run.finalHeldOutLoss !== null) points.set(committed, run.finalHeldOutLoss);
  return { rounds: [...points.keys()], losses: [...points.values()] };
};

/** The plot in one sentence, for those who do not see it. */
export const describeLosses = ({ rounds, losses }: LossSeries): string => {
  const first = losses[0];
  const last = losses.at(-1);
  if (first === undefined || last === undefined) return 'No loss has been measured yet.';
  if (losses.length === 1) return `Held-out loss ${formatLoss(first)} nats a token after ${rounds[0]} rounds.`;
  const change = ((last - first) / first) * 100;
  const direction = change < 0 ? 'down' : 'up';
  return `Held-out loss went from ${formatLoss(first)} to ${formatLoss(last)} nats a token over ${(rounds.at(-1) ?? 0) - (rounds[0] ?? 0)} rounds, ${direction} ${Math.abs(change).toFixed(1)} %.`;
};

import type { RunDetailView } from '@weft/shared';
import { formatLoss } from '../format.ts';

export interface LossSeries {
  /** Rounds that the scored adapter has behind it; 0 is the base model with an adapter that changes nothing yet. */
  readonly rounds: readonly number[];
  /** Nats a token on what the nodes hold back, token-weighted. */
  readonly losses: readonly number[];
}

/** A round scores the adapter that it starts from; the last adapter is scored when the run ends. */
export const lossSeries = (run: Pick<RunDetailView, 'roundsDone' | 'finalHeldOutLoss' | 'rounds'>): LossSeries => {
  const points = new Map<number, number>();
  for (const { round, heldOutLoss } of run.roundsDone) if (heldOutLoss !== null) points.set(round, heldOutLoss);
  const last = run.roundsDone.findLast(({ adapterAfter }) => adapterAfter !== null);
  if (run.finalHeldOutLoss !== null) points.set((last?.round ?? run.rounds - 1) + 1, run.finalHeldOutLoss);
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

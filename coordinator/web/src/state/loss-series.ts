import type { RunDetailView } from '@weft/shared';
import { formatLoss } from '../format.ts';

export interface LossSeries {
  /** Rounds that the scored adapter has behind it; 0 is the base model with an adapter that changes nothing yet. */
  readonly rounds: readonly number[];
  /** Nats a token. */
  readonly losses: readonly number[];
  /** Held out: on what the nodes hold back, token-weighted. Where no node lets that leave: on the evaluation gate's file. */
  readonly measured: 'held out' | 'by the gate';
  /** Committed rounds that a roll-back took off the line. */
  readonly withdrawn: number;
}

/**
 * A round scores the adapter that it starts from; the last adapter is scored when the run ends. After a roll-back the line
 * holds only what the run's adapter was made from.
 */
export const lossSeries = ({
  roundsDone,
  finalHeldOutLoss,
  adapterSha256,
}: Pick<RunDetailView, 'roundsDone' | 'finalHeldOutLoss' | 'adapterSha256'>): LossSeries => {
  const committed = roundsDone.filter(({ adapterAfter }) => adapterAfter !== null);
  const behind = committed.filter(({ withdrawn }) => !withdrawn);
  const places = new Map(behind.map(({ adapterBefore }, place) => [adapterBefore, place]));
  if (adapterSha256 !== null) places.set(adapterSha256, behind.length);

  const points = new Map<number, number>();
  for (const { heldOutLoss, adapterBefore } of roundsDone) {
    const place = places.get(adapterBefore);
    // a try after a round that was aborted or withdrawn scores the same adapter again
    if (heldOutLoss !== null && place !== undefined) points.set(place, heldOutLoss);
  }
  if (finalHeldOutLoss !== null) points.set(behind.length, finalHeldOutLoss);
  const measured = points.size > 0 ? 'held out' : 'by the gate';
  if (measured === 'by the gate')
    behind.forEach(({ gate }, place) => {
      if (gate === null) return;
      if (gate.lossBefore !== null) points.set(place, gate.lossBefore);
      if (gate.lossAfter !== null) points.set(place + 1, gate.lossAfter);
    });
  const line = [...points].toSorted(([a], [b]) => a - b);
  return {
    rounds: line.map(([place]) => place),
    losses: line.map(([, loss]) => loss),
    measured,
    withdrawn: committed.length - behind.length,
  };
};

const countRounds = (count: number): string => `${count} ${count === 1 ? 'round' : 'rounds'}`;

/** What the numbers are, as a heading. */
export const lossName = ({ losses, measured }: LossSeries): string =>
  losses.length > 0 && measured === 'by the gate' ? 'Loss on the gate’s file' : 'Held-out loss';

/** The plot in one sentence, for those who do not see it. */
export const describeLosses = (series: LossSeries): string => {
  const { rounds, losses } = series;
  const first = losses[0];
  const last = losses.at(-1);
  if (first === undefined || last === undefined)
    return 'No loss has been measured. A node lets one leave only where its policy says so; an evaluation gate measures one without them.';
  if (losses.length === 1)
    return `${lossName(series)} ${formatLoss(first)} nats a token after ${countRounds(rounds[0] ?? 0)}.`;
  const change = ((last - first) / first) * 100;
  const direction = change < 0 ? 'down' : 'up';
  return `${lossName(series)} went from ${formatLoss(first)} to ${formatLoss(last)} nats a token over ${countRounds((rounds.at(-1) ?? 0) - (rounds[0] ?? 0))}, ${direction} ${Math.abs(change).toFixed(1)} %.`;
};

/** What of the run the line leaves out; empty where it is all there. */
export const describeWithdrawn = ({ withdrawn }: LossSeries): string =>
  withdrawn === 0
    ? ''
    : `${countRounds(withdrawn)} that the roll-back withdrew ${withdrawn === 1 ? 'is' : 'are'} not drawn; the table of rounds has ${withdrawn === 1 ? 'it' : 'them'}.`;

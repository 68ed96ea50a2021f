import type { RunView } from '@weft/shared';

/** Rounds count from 0 everywhere but in front of people. */
export const roundLabel = (round: number): string => `${round + 1}`;

/** The round that is under way or was the last; tries that were aborted take no round from the run. */
export const roundOf = ({
  state,
  roundsCommitted,
  rounds,
}: Pick<RunView, 'state' | 'roundsCommitted' | 'rounds'>): string => {
  const underWay = state === 'running' || state === 'paused' ? 1 : 0;
  return `${Math.min(roundsCommitted + underWay, rounds)} of ${rounds}`;
};

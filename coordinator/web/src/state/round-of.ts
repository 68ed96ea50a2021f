import type { RunView } from '@weft/shared';

/** Rounds count from 0 everywhere but in front of people. */
export const roundLabel = (round: number): string => `${round + 1}`;

export const roundOf = (run: Pick<RunView, 'state' | 'round' | 'rounds'>): string =>
  run.state === 'created' ? `0 of ${run.rounds}` : `${Math.min(run.round + 1, run.rounds)} of ${run.rounds}`;

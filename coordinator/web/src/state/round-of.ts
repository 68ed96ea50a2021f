import type { RoundView, RunView } from '@weft/shared';

/** Rounds count from 0 everywhere but in front of people. */
export const roundLabel = (round: number): string => `${round + 1}`;

/** Of the list of runs: the try that is under way. */
export const roundOf = (run: Pick<RunView, 'state' | 'round' | 'rounds'>): string =>
  run.state === 'created' ? `0 of ${run.rounds}` : `${Math.min(run.round + 1, run.rounds)} of ${run.rounds}`;

interface Tries {
  readonly roundsDone: readonly Pick<RoundView, 'adapterAfter'>[];
}

export const committedRounds = (run: Tries): number =>
  run.roundsDone.filter(({ adapterAfter }) => adapterAfter !== null).length;

/** Where all tries are known: those that were aborted take no round from the run. */
export const roundInDetail = (run: Pick<RunView, 'state' | 'rounds'> & Tries): string => {
  const committed = committedRounds(run);
  const underWay = run.state === 'running' || run.state === 'paused' ? 1 : 0;
  return `${Math.min(committed + underWay, run.rounds)} of ${run.rounds}`;
};

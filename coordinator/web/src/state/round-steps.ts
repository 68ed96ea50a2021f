import type { RoundPhase, RunDetailView } from '@weft/shared';

/** The phases that a round in plain mode passes, in order; `keys`, `shares` and `unmasking` belong to secure aggregation. */
const plainPhases = [
  'waiting',
  'training',
  'collecting',
  'committing',
  'evaluating',
] as const satisfies readonly RoundPhase[];

const meanings: Readonly<Record<(typeof plainPhases)[number], string>> = {
  waiting: 'until enough nodes are connected',
  training: 'each node trains on its own data',
  collecting: 'the deltas of the cohort arrive',
  committing: 'their mean becomes the next adapter',
  evaluating: 'after the last round: nodes score the final adapter',
};

export interface Step {
  readonly phase: RoundPhase;
  readonly meaning: string;
  readonly state: 'done' | 'current' | 'ahead';
}

/** Where the run stands in its round. A run that has ended has every step behind it; one that has not begun, ahead. */
export const roundSteps = (run: Pick<RunDetailView, 'state' | 'phase' | 'roundsDone'>): Step[] => {
  const phase = run.phase === 'paused' ? run.roundsDone.at(-1)?.phase : run.phase;
  const current = plainPhases.findIndex((name) => name === phase);
  const stateOf = (index: number): Step['state'] => {
    if (run.state === 'finished') return 'done';
    if (run.state === 'created' || current < 0) return 'ahead';
    if (index === current) return 'current';
    return index < current ? 'done' : 'ahead';
  };
  return plainPhases.map((name, index) => ({ phase: name, meaning: meanings[name], state: stateOf(index) }));
};

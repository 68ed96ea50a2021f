import type { RoundPhase, RunDetailView } from '@weft/shared';

const meanings = {
  waiting: 'until enough nodes are connected',
  training: 'each node trains on its own data',
  keys: 'the cohort makes keys for this round alone',
  shares: 'each member deals shares of its secrets to the others',
  collecting: 'the deltas of the cohort arrive',
  unmasking: 'the members sign who is summed, and open what takes the masks off the sum',
  committing: 'their mean becomes the next adapter',
  evaluating:
    'the gate scores it before it counts, where the run has one; after the last round nodes score the final one',
} as const satisfies Partial<Record<RoundPhase, string>>;

/** The phases that a round passes, in order. */
const phases = Object.keys(meanings) as (keyof typeof meanings)[];
const secureOnly: readonly RoundPhase[] = ['keys', 'shares', 'unmasking'];
const phasesOf = (mode: Mode) => phases.filter((phase) => mode === 'secure' || !secureOnly.includes(phase));
type Mode = RunDetailView['spec']['aggregation']['mode'];

export interface Step {
  readonly phase: RoundPhase;
  readonly meaning: string;
  readonly state: 'done' | 'current' | 'ahead';
}

/** Where the run stands in its round. A run that has ended has every step behind it; one that has not begun, ahead. */
export const roundSteps = (run: Pick<RunDetailView, 'state' | 'phase' | 'roundsDone'>, mode: Mode): Step[] => {
  const passed = phasesOf(mode);
  const phase = run.phase === 'paused' ? run.roundsDone.at(-1)?.phase : run.phase;
  const current = passed.findIndex((name) => name === phase);
  const stateOf = (index: number): Step['state'] => {
    if (run.state === 'finished') return 'done';
    if (run.state === 'created' || current < 0) return 'ahead';
    if (index === current) return 'current';
    return index < current ? 'done' : 'ahead';
  };
  return passed.map((name, index) => ({ phase: name, meaning: meanings[name], state: stateOf(index) }));
};

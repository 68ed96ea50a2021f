import { nodesIn, type RunState } from '../state.ts';
import { Turn } from '../turn.ts';
import { earliest, type Phase } from './phase.ts';
import { tooFew } from './training.ts';

/** The cohort's members send their updates; each that is accepted is durable before its receipt leaves. */
export const collecting: Phase = {
  advance(turn) {
    turn.dropSilentOf(() => membersToCome(turn.state));
    const { spec, round, deadlineAt } = turn.state;
    const accepted = nodesIn(turn.state, 'accepted').length;
    const toCome = membersToCome(turn.state).length;
    if (accepted + toCome >= spec.cohort.minimum && toCome > 0 && turn.now < deadlineAt) return;
    if (accepted >= spec.cohort.minimum) turn.enter('committing');
    else
      turn.abortRound(
        tooFew(`${accepted} updates of round ${round + 1} arrived, cohort.minimum is ${spec.cohort.minimum}`),
      );
  },
  dueAt: (state) => earliest(state.deadlineAt, Turn.leaseEnd(state)),
  greet(turn, nodeId) {
    const { cohort, participants, round, deadlineAt } = turn.state;
    const stage = participants.get(nodeId)?.stage;
    if (cohort.includes(nodeId) && (stage === 'ready' || stage === 'left')) {
      turn.effect({ kind: 'announceCohort', to: [nodeId], round, nodeIds: cohort, deadlineAt });
    }
  },
};

const membersToCome = (state: RunState) => nodesIn(state, 'ready').filter((nodeId) => state.cohort.includes(nodeId));

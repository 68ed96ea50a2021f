import { nodesIn } from '../state.js';
import { Turn } from '../turn.js';
import { earliest,            } from './phase.js';

/** After the last round: the nodes that are there score the final adapter on what they held back. */
export const evaluating        = {
  advance(turn) {
    turn.dropSilent('offered');
    if (nodesIn(turn.state, 'offered').length > 0 && turn.now < turn.state.deadlineAt) return;
    turn.record({ kind: 'run.finished', data: { adapter: turn.state.adapter } });
    turn.endRun('finished', '');
  },
  dueAt: (state) => earliest(state.deadlineAt, Turn.leaseEnd(state, 'offered')),
  greet(turn, nodeId) {
    const stage = turn.state.participants.get(nodeId)?.stage;
    if (stage === 'offered' || stage === 'left') turn.offer(nodeId, 'evaluate');
  },
};

/** The evaluation has a round number of its own, so that its messages belong to nothing else. */
export function beginEvaluation(turn      )       {
  const { round, spec } = turn.state;
  turn.enter('evaluating', { round: round + 1, deadlineAt: turn.now + Math.ceil(spec.cohort.deadlineSeconds * 1000) });
  if (spec.evaluation.heldOutShare > 0) for (const nodeId of turn.connectedNodes()) turn.offer(nodeId, 'evaluate');
}

import type { Turn } from '../turn.ts';

/** The evaluation has a round number of its own, so that its messages belong to nothing else. */
export function beginEvaluation(turn: Turn): void {
  const { round, spec } = turn.state;
  turn.enter('evaluating', { round: round + 1, deadlineAt: turn.now + Math.ceil(spec.cohort.deadlineSeconds * 1000) });
  if (spec.evaluation.heldOutShare > 0) for (const nodeId of turn.connectedNodes()) turn.offer(nodeId, 'evaluate');
}

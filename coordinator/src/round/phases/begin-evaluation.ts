import type { Turn } from '../turn.ts';

/**
 * The evaluation has a round number of its own, so that its messages belong to nothing else. Only nodes that scored an
 * adapter of this run are asked for the last one: the policy of the others lets no loss leave, or they have too few records.
 */
export function beginEvaluation(turn: Turn): void {
  const { round, spec, scorers } = turn.state;
  turn.enter('evaluating', { round: round + 1, deadlineAt: turn.now + Math.ceil(spec.cohort.deadlineSeconds * 1000) });
  for (const nodeId of turn.connectedNodes()) if (scorers.has(nodeId)) turn.offer(nodeId, 'evaluate');
}

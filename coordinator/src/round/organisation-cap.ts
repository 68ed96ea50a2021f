import type { NodeId } from '@weft/shared';
import { inRandomOrder } from './random-order.ts';
import type { RunState } from './state.ts';
import type { RoundRandom } from './turn.ts';

type Ready = Pick<RunState, 'spec' | 'participants'>;

/** Of each organisation together; those that nobody endorsed are one of their own. */
const byOrganisation = ({ participants }: Ready, nodeIds: readonly NodeId[]): NodeId[][] => [
  ...Map.groupBy(nodeIds, (nodeId) => participants.get(nodeId)?.organisation).values(),
];

const capOf = ({ spec }: Ready): number => spec.cohort.perOrganisation ?? Infinity;

/** How many of these ready nodes cohort.perOrganisation lets into a cohort. */
export const letIn = (state: Ready, nodeIds: readonly NodeId[]): number =>
  byOrganisation(state, nodeIds).reduce((sum, { length }) => sum + Math.min(length, capOf(state)), 0);

/**
 * Who of them they are. Drawn where an organisation has too many, so that its fast nodes do not keep its slow ones out
 * round after round.
 */
export const drawMembers = (state: Ready, nodeIds: readonly NodeId[], random: RoundRandom): NodeId[] =>
  byOrganisation(state, nodeIds).flatMap((nodes) =>
    nodes.length <= capOf(state) ? nodes : inRandomOrder(nodes, random).slice(0, capOf(state)),
  );

/** For messages; empty where nobody is left out. */
export function capWords(state: Ready, nodeIds: readonly NodeId[]): string {
  const fitting = letIn(state, nodeIds);
  return fitting === nodeIds.length
    ? ''
    : `, cohort.perOrganisation is ${capOf(state)} and lets ${fitting} of the ${nodeIds.length} ready ones in`;
}

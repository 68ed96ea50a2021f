import type { NodeId } from '@weft/shared';
import { capWords, drawMembers, letIn } from '../organisation-cap.ts';
import { hasRoom, nodesIn, type RunState } from '../state.ts';
import { Turn } from '../turn.ts';
import { earliest, type Phase } from './phase.ts';
import { beginSecure } from './secure.ts';

/** Nodes train and report ready, until the cohort can be fixed among the ready ones. */
export const training: Phase = {
  advance(turn) {
    turn.dropSilent('offered', 'ready');
    const { spec, round, quorumDeadlineAt, deadlineAt } = turn.state;
    const ready = nodesIn(turn.state, 'ready');
    const active = ready.length + nodesIn(turn.state, 'offered').length;
    const fitting = letIn(turn.state, ready);
    const left = active - ready.length + fitting;
    if (left < spec.cohort.minimum) {
      turn.abortRound(
        tooFew(
          `${active} nodes are left in round ${round + 1}${capWords(turn.state, ready)}, cohort.minimum is ${spec.cohort.minimum}`,
        ),
      );
    } else if (ready.length === active || (turn.now >= quorumDeadlineAt && isQuorum(turn.state))) {
      fixCohort(turn);
    } else if (turn.now >= deadlineAt) {
      const quorum = quorumOf(turn.state);
      turn.abortRound(
        tooFew(
          `${ready.length} of ${active} nodes were ready at the deadline of round ${round + 1}${capWords(turn.state, ready)}, the cohort needs ${ready.length < quorum ? quorum : spec.cohort.minimum}`,
        ),
      );
    }
  },
  dueAt: (state) => earliest(Turn.leaseEnd(state), isQuorum(state) ? state.quorumDeadlineAt : state.deadlineAt),
  greet(turn, nodeId) {
    const known = turn.state.participants.get(nodeId);
    if (known?.stage === 'offered' || (known?.stage === 'left' && hasRoom(turn.state))) turn.offer(nodeId, 'train');
    // Someone new may still join while nobody has finished; later it would only hold the others up.
    const open = nodesIn(turn.state, 'ready').length === 0 && hasRoom(turn.state);
    if (known === undefined && open && turn.state.lifecycle === 'running') turn.offer(nodeId, 'train');
  },
};

export const tooFew = (message: string) => ({ code: 'WEFT_ROUND_TOO_FEW_READY', message });

/** Of the nodes that trained, so many must be ready, whether or not the cohort takes them all. */
function quorumOf(state: RunState): number {
  const active = nodesIn(state, 'ready', 'offered').length;
  return Math.max(state.spec.cohort.minimum, Math.ceil(state.spec.cohort.quorum * active));
}

/** Past the first deadline only a node that reports can change anything before the last one, until this holds. */
function isQuorum(state: RunState): boolean {
  const ready = nodesIn(state, 'ready');
  return ready.length >= quorumOf(state) && letIn(state, ready) >= state.spec.cohort.minimum;
}

function fixCohort(turn: Turn): void {
  const ready = nodesIn(turn.state, 'ready');
  const nodeIds = drawMembers(turn.state, ready, turn.random).toSorted();
  const leftOut = ready.filter((nodeId) => !nodeIds.includes(nodeId));
  const { round, spec } = turn.state;
  const deadlineAt = turn.now + Math.ceil(spec.cohort.deadlineSeconds * 1000);
  turn.record({ kind: 'cohort.fixed', data: { nodeIds, deadlineAt } });
  for (const nodeId of leftOut)
    turn.record({ kind: 'node.left', nodeId, data: { cause: 'perOrganisation', silentMs: 0 } });
  const announce = (to: readonly NodeId[]) => turn.effect({ kind: 'announceCohort', to, round, nodeIds, deadlineAt });
  if (spec.aggregation.mode === 'plain') {
    turn.enter('collecting', { deadlineAt });
    return announce([...nodeIds, ...leftOut]);
  }
  const { participants } = turn.state;
  beginSecure(
    turn,
    nodeIds.map((nodeId) => ({ nodeId, publicKey: participants.get(nodeId)!.publicKey! })),
  );
  if (leftOut.length > 0) announce(leftOut);
}

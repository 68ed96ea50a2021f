import { hasRoom, nodesIn, type RunState } from '../state.ts';
import { Turn } from '../turn.ts';
import { earliest, type Phase } from './phase.ts';
import { beginSecure } from './secure.ts';

/** Nodes train and report ready, until the cohort can be fixed among the ready ones. */
export const training: Phase = {
  advance(turn) {
    turn.dropSilent('offered', 'ready');
    const { spec, quorumDeadlineAt, deadlineAt } = turn.state;
    const ready = nodesIn(turn.state, 'ready');
    const active = ready.length + nodesIn(turn.state, 'offered').length;
    const quorum = Math.max(spec.cohort.minimum, Math.ceil(spec.cohort.quorum * active));
    if (active < spec.cohort.minimum) {
      turn.abortRound(
        tooFew(`${active} nodes are left in round ${turn.state.round}, cohort.minimum is ${spec.cohort.minimum}`),
      );
    } else if (ready.length === active || (turn.now >= quorumDeadlineAt && ready.length >= quorum)) {
      fixCohort(turn);
    } else if (turn.now >= deadlineAt) {
      turn.abortRound(
        tooFew(
          `${ready.length} of ${active} nodes were ready at the deadline of round ${turn.state.round}, the cohort needs ${quorum}`,
        ),
      );
    }
  },
  dueAt: (state) =>
    earliest(
      Turn.leaseEnd(state, 'offered', 'ready'),
      quorumMatters(state) ? state.quorumDeadlineAt : state.deadlineAt,
    ),
  greet(turn, nodeId) {
    const known = turn.state.participants.get(nodeId);
    if (known?.stage === 'offered' || (known?.stage === 'left' && hasRoom(turn.state))) turn.offer(nodeId, 'train');
    // Someone new may still join while nobody has finished; later it would only hold the others up.
    const open = nodesIn(turn.state, 'ready').length === 0 && hasRoom(turn.state);
    if (known === undefined && open && turn.state.lifecycle === 'running') turn.offer(nodeId, 'train');
  },
};

export const tooFew = (message: string) => ({ code: 'WEFT_ROUND_TOO_FEW_READY', message });

/** Past that deadline only a node that reports can change anything before the last one. */
const quorumMatters = (state: RunState): boolean => {
  const ready = nodesIn(state, 'ready').length;
  const active = ready + nodesIn(state, 'offered').length;
  return ready >= Math.max(state.spec.cohort.minimum, Math.ceil(state.spec.cohort.quorum * active));
};

function fixCohort(turn: Turn): void {
  const nodeIds = nodesIn(turn.state, 'ready').toSorted();
  const deadlineAt = turn.now + Math.ceil(turn.state.spec.cohort.deadlineSeconds * 1000);
  turn.record({ kind: 'cohort.fixed', data: { nodeIds, deadlineAt } });
  if (turn.state.spec.aggregation.mode === 'secure') {
    const { participants } = turn.state;
    return beginSecure(
      turn,
      nodeIds.map((nodeId) => ({ nodeId, publicKey: participants.get(nodeId)!.publicKey! })),
    );
  }
  turn.enter('collecting', { deadlineAt });
  turn.effect({ kind: 'announceCohort', to: nodeIds, round: turn.state.round, nodeIds, deadlineAt });
}

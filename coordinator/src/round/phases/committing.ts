import type { NodeId } from '@weft/shared';
import type { Aggregate } from '../inputs.ts';
import type { AcceptedUpdate, RunState } from '../state.ts';
import type { Turn } from '../turn.ts';
import { beginEvaluation } from './evaluating.ts';
import type { Phase } from './phase.ts';

/** The accepted updates are added up and the new adapter version is written. Nothing is taken any more. */
export const committing: Phase = {
  advance(turn) {
    if (turn.state.aggregating) return;
    turn.change({ aggregating: true });
    turn.effect({ kind: 'aggregate', round: turn.state.round, updates: acceptedUpdates(turn.state) });
  },
  dueAt: () => undefined,
  greet() {},
};

const acceptedUpdates = (state: RunState): Map<NodeId, AcceptedUpdate> =>
  new Map(
    [...state.participants].flatMap(([nodeId, { update }]) =>
      update === undefined ? [] : [[nodeId, update] as const],
    ),
  );

export function commit(turn: Turn, aggregate: Aggregate): void {
  const { round, startedAt, cohortAt, committingAt, spec } = turn.state;
  const updates = acceptedUpdates(turn.state);
  const accepted = [...updates.values()];
  const values = accepted.reduce((sum, update) => sum + update.values, 0);
  const payloads = turn.acceptedPayloads();
  turn.record({
    kind: 'round.committed',
    data: {
      adapter: aggregate.adapter,
      ...(aggregate.momentum && { momentum: aggregate.momentum }),
      nodeIds: [...updates.keys()].toSorted(),
      weightSum: aggregate.weightSum,
      clippedShare: accepted.filter(({ clipped }) => clipped).length / accepted.length,
      saturatedShare: accepted.reduce((sum, { saturatedValues }) => sum + saturatedValues, 0) / values,
      deltaNormL2: aggregate.deltaNormL2,
      seconds: {
        training: (cohortAt - startedAt) / 1000,
        transfer: (committingAt - cohortAt) / 1000,
        aggregation: aggregate.seconds,
      },
      bytesDown: Object.fromEntries(turn.state.bytesDown),
    },
  });
  turn.effect({ kind: 'discardUpdates', round, payloads });
  turn.effect({
    kind: 'announceResult',
    to: turn.connectedNodes(),
    round,
    committed: true,
    adapter: aggregate.adapter,
    reason: '',
    contributors: updates.size,
  });
  if (turn.state.committedRounds < spec.rounds) turn.enter('waiting');
  else beginEvaluation(turn);
}

import { privacy, secagg, type GateComparison, type NodeId } from '@weft/shared';
import type { Aggregate } from '../inputs.ts';
import { nodeAt } from '../secure-session.ts';
import type { AcceptedUpdate, Candidate, RunState, SecureSession } from '../state.ts';
import type { Turn } from '../turn.ts';
import { beginEvaluation } from './begin-evaluation.ts';
import type { Phase } from './phase.ts';
import { giveUpEnded } from './secure.ts';

/** The accepted updates are added up and the new adapter version is written. Nothing is taken any more. */
export const committing: Phase = {
  advance(turn) {
    if (giveUpEnded(turn) || turn.state.aggregating) return;
    turn.change({ aggregating: true });
    const { round, secure } = turn.state;
    const shards =
      secure &&
      secagg.openCut(secure.server).shards.map(({ summed, terms }) => ({
        nodeIds: summed.map((place) => nodeAt(secure, place)),
        masks: terms,
      }));
    turn.effect({ kind: 'aggregate', round, updates: summedUpdates(turn.state), shards });
  },
  dueAt: () => undefined,
  greet() {},
};

/** What was accepted; under secure aggregation only what the cut names, or the masks would not cancel. */
function summedUpdates({ participants, secure }: RunState): Map<NodeId, AcceptedUpdate> {
  const summed = secure && new Set(summedNodes(secure));
  return new Map(
    [...participants].flatMap(([nodeId, { update }]) =>
      update === undefined || summed?.has(nodeId) === false ? [] : [[nodeId, update] as const],
    ),
  );
}

const summedNodes = (session: SecureSession): NodeId[] =>
  secagg.summedIn(session.server).summed.map((place) => nodeAt(session, place));

/** Without a gate in the spec whatever is finite is committed; with one, what its file is scored no worse with. */
export function takeCandidate(turn: Turn, { finite, ...candidate }: Aggregate): void {
  if (!finite) {
    const message = `the sum of round ${turn.state.round + 1} makes an adapter with values beyond float32`;
    return turn.abortRound({ code: 'WEFT_GATE_REFUSED', message });
  }
  if (turn.state.spec.evaluation.gate === undefined) return commit(turn, candidate);
  turn.record({ kind: 'round.aggregated', data: candidate });
  turn.enter('evaluating');
}

export function commit(turn: Turn, aggregate: Candidate, gate?: GateComparison): void {
  const { round, startedAt, cohortAt, committingAt, spec } = turn.state;
  const refused = new Set(aggregate.refusedShards?.flatMap(({ nodeIds }) => nodeIds));
  const updates = new Map([...summedUpdates(turn.state)].filter(([nodeId]) => !refused.has(nodeId)));
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
      ...(aggregate.refusedShards && { refusedShards: aggregate.refusedShards }),
      ...(!turn.state.secure && {
        clippedShare: accepted.filter(({ clipped }) => clipped).length / accepted.length,
        saturatedShare: accepted.reduce((sum, { saturatedValues }) => sum + saturatedValues, 0) / values,
      }),
      deltaNormL2: aggregate.deltaNormL2,
      ...(aggregate.withinShare !== undefined && {
        clipping: {
          withinShare: aggregate.withinShare,
          nextClipNormL2: privacy.nextClipNorm(turn.state.clipNormL2, aggregate.withinShare),
        },
      }),
      seconds: {
        training: (cohortAt - startedAt) / 1000,
        transfer: (committingAt - cohortAt) / 1000,
        aggregation: aggregate.seconds,
      },
      bytesDown: Object.fromEntries(turn.state.bytesDown),
      ...(gate && { gate }),
    },
  });
  turn.effect({ kind: 'discardUpdates', round, payloads, adapters: [] });
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

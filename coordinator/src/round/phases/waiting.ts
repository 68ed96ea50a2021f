import { trainedFactor, type NodeId } from '@weft/shared';
import { median, type RunState } from '../state.ts';
import type { RoundRandom, Turn } from '../turn.ts';
import { beginEvaluation } from './begin-evaluation.ts';
import type { Phase } from './phase.ts';

/** Until enough nodes are connected. Then a round starts and is offered to them. */
export const waiting: Phase = {
  advance(turn) {
    const { spec, enoughSince, committedRounds } = turn.state;
    // Rolled back, or forward again, to the version after the last round.
    if (committedRounds >= spec.rounds) return beginEvaluation(turn);
    const enough = mayTakePart(turn.state).length >= spec.cohort.minimum;
    if (enough !== (enoughSince !== undefined)) turn.change({ enoughSince: enough ? turn.now : undefined });
    const startsAt = startOf(turn.state);
    if (startsAt === undefined || turn.now < startsAt) return;
    startRound(turn, choose(mayTakePart(turn.state), spec.cohort.maximum, turn.random));
  },
  dueAt: startOf,
  greet() {},
};

/** Whoever is there and was not caught lying. */
const mayTakePart = ({ connected, blamed }: RunState): NodeId[] =>
  [...connected.keys()].filter((nodeId) => !blamed.has(nodeId));

/** At once when the maximum is there; with the minimum, when no further node came for a while. */
function startOf(state: RunState): number | undefined {
  const { connected, spec, timing, retryAt, enoughSince } = state;
  if (mayTakePart(state).length >= spec.cohort.maximum) return retryAt;
  if (enoughSince === undefined) return undefined;
  const lastArrival = Math.max(...[...connected.values()].map(({ since }) => since));
  return Math.max(retryAt, Math.min(lastArrival + timing.settleMs, enoughSince + 5 * timing.settleMs));
}

function startRound(turn: Turn, nodeIds: readonly NodeId[]): void {
  const { spec, timing, round, committedRounds, adapter, trainingTimes } = turn.state;
  const deadlineMs = spec.cohort.deadlineSeconds * 1000;
  const typicalMs = median(trainingTimes);
  const quorumMs =
    typicalMs === undefined ? deadlineMs : Math.max(timing.shortestDeadlineMs, timing.medianFactor * typicalMs);
  turn.record({
    kind: 'round.started',
    round: round + 1,
    data: {
      // By committed rounds: an aborted try must not make RoLoRA skip a factor.
      factor: trainedFactor(spec.adapter.schedule, committedRounds),
      adapter,
      batchSeed: spec.seed,
      quorumDeadlineAt: turn.now + Math.ceil(Math.min(quorumMs, deadlineMs)),
      deadlineAt: turn.now + Math.ceil(deadlineMs),
    },
  });
  turn.enter('training');
  turn.change({ enoughSince: undefined });
  for (const nodeId of nodeIds) turn.offer(nodeId, 'train');
}

/** A uniform sample where there are too many (the first steps of a Fisher–Yates shuffle). */
function choose(nodeIds: NodeId[], maximum: number, random: RoundRandom): NodeId[] {
  if (nodeIds.length <= maximum) return nodeIds;
  for (let i = 0; i < maximum; i++) {
    const j = i + random.integer(nodeIds.length - i);
    [nodeIds[i], nodeIds[j]] = [nodeIds[j]!, nodeIds[i]!];
  }
  return nodeIds.slice(0, maximum);
}

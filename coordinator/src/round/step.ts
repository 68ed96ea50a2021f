import { WeftError, withEntry, type NodeId, type RoundPhase } from '@weft/shared';
import { takeDeclined, takeEvaluation, takeReady, takeUpload } from './facts.ts';
import type { Effect, RoundInput } from './inputs.ts';
import { collecting } from './phases/collecting.ts';
import { committing, takeCandidate } from './phases/committing.ts';
import { evaluating } from './phases/evaluating.ts';
import { takeGated } from './phases/gate.ts';
import type { Phase } from './phases/phase.ts';
import { revokeMember, secure, takeSecure } from './phases/secure.ts';
import { training } from './phases/training.ts';
import { waiting } from './phases/waiting.ts';
import { rollBack } from './roll-back.ts';
import { owesLog } from './secure-session.ts';
import { activePhase, hasEnded, nodesIn, type RunState } from './state.ts';
import { Turn, type RoundRandom } from './turn.ts';

/** The phases in which a run does something by itself. */
const plainPhases: Partial<Record<RoundPhase, Phase>> = { waiting, training, collecting, committing, evaluating };
const securePhases: typeof plainPhases = {
  ...plainPhases,
  keys: secure,
  shares: secure,
  collecting: secure,
  unmasking: secure,
};

const phaseIn = (state: RunState, phase: RoundPhase): Phase | undefined =>
  (state.secure ? securePhases : plainPhases)[phase];

/**
 * The round machine: no clock, no randomness, no file, no socket of its own.
 *
 * An input leads to rows, rows lead to the next state, and the phase then moves on as far as it can.
 * @throws a catalogued error for what a node or an admin must not do now; the state stays as it was
 */
export function step(
  state: RunState,
  input: RoundInput,
  now: number,
  random: RoundRandom,
): { readonly state: RunState; readonly effects: readonly Effect[] } {
  const turn = new Turn(state, now, random);
  take(turn, input);
  // Nothing begins with a sign of life: an alarm that rings before a lease is over finds that out. They come by the thousand.
  if (input.kind === 'heard' || input.kind === 'downloaded') return { state: turn.state, effects: [] };
  // Each pass enters a later phase or stops; a round that aborts waits for its retry.
  for (let before: RunState | undefined; before !== turn.state && turn.state.lifecycle === 'running';) {
    before = turn.state;
    phaseIn(turn.state, turn.state.phase)?.advance(turn);
  }
  const at = turn.state.lifecycle === 'running' ? phaseIn(turn.state, turn.state.phase)?.dueAt(turn.state) : undefined;
  return {
    state: turn.state,
    effects: [
      ...(turn.events.length > 0 ? [{ kind: 'record' as const, events: turn.events }] : []),
      ...turn.effects,
      { kind: 'schedule', at },
    ],
  };
}

function take(turn: Turn, input: RoundInput): void {
  switch (input.kind) {
    case 'start':
      requireLifecycle(turn, 'start', 'created');
      return turn.record({ kind: 'run.started', data: {} });
    case 'pause':
      requireLifecycle(turn, 'pause', 'running');
      // A pause has no end that could be promised: the round's abort keeps what its receipts said.
      if (turn.state.secure && owesLog(turn.state.secure))
        turn.abortRound({ code: 'WEFT_SECAGG_ABORTED', message: 'the run was paused before its cut was fixed' });
      if (hasEnded(turn.state)) return;
      return turn.record({ kind: 'run.paused', data: input.reason ? { reason: input.reason } : {} });
    case 'resume':
      requireLifecycle(turn, 'resume', 'paused');
      turn.record({ kind: 'run.resumed', data: {} });
      renewLeases(turn);
      for (const nodeId of turn.connectedNodes())
        if (turn.state.secure || !turn.state.participants.has(nodeId)) greet(turn, nodeId);
      return;
    case 'stop':
      requireLifecycle(turn, 'stop', 'created', 'running', 'paused');
      return stop(turn);
    case 'rollBack':
      return rollBack(turn, input);
    case 'recover': {
      // While it is paused, resuming moves the deadlines.
      const setBack = turn.now < turn.state.lastEventAt && turn.state.retryAt > turn.now;
      if (turn.state.lifecycle === 'running' && (turn.state.participants.size > 0 || setBack)) {
        turn.record({ kind: 'run.recovered', data: {} });
      }
      return renewLeases(turn);
    }
    case 'timer':
      return;
    case 'connected':
      turn.change({ connected: withEntry(turn.state.connected, input.nodeId, { since: turn.now }) });
      hear(turn, input.nodeId);
      return greet(turn, input.nodeId);
    case 'disconnected':
      return disconnect(turn, input.nodeId);
    case 'revoked':
      disconnect(turn, input.nodeId);
      if (
        nodesIn(turn.state, 'offered', 'ready', ...(turn.state.secure ? (['accepted'] as const) : [])).includes(
          input.nodeId,
        )
      ) {
        turn.record({ kind: 'node.left', nodeId: input.nodeId, data: { cause: 'revoked', silentMs: 0 } });
      }
      return revokeMember(turn, input.nodeId);
    case 'heard':
      return hear(turn, input.nodeId);
    case 'downloaded': {
      hear(turn, input.nodeId);
      const { bytesDown } = turn.state;
      return turn.change({
        bytesDown: withEntry(bytesDown, input.nodeId, (bytesDown.get(input.nodeId) ?? 0) + input.sizeBytes),
      });
    }
    case 'ready':
      hear(turn, input.nodeId);
      return takeReady(turn, input);
    case 'declined':
      hear(turn, input.nodeId);
      return takeDeclined(turn, input);
    case 'evaluated':
      hear(turn, input.nodeId);
      return takeEvaluation(turn, input);
    case 'uploaded':
      hear(turn, input.nodeId);
      return takeUpload(turn, input);
    case 'secure':
      hear(turn, input.nodeId);
      return takeSecure(turn, input);
    case 'aggregated':
    case 'aggregationFailed':
      return takeAggregate(turn, input);
    case 'gated':
    case 'gateFailed':
      return takeGated(turn, input);
  }
}

/** What another cohort may do better; any other failure asks for an operator, and the run is paused. */
const abortsRound: ReadonlySet<string> = new Set(['WEFT_SUM_REFUSED', 'WEFT_SHARDS_TOO_FEW']);

/** A result that comes while the run is paused is made again on resuming: the updates are still there. */
function takeAggregate(turn: Turn, input: Extract<RoundInput, { kind: 'aggregated' | 'aggregationFailed' }>): void {
  if (input.round !== turn.state.round || !turn.state.aggregating) return;
  turn.change({ aggregating: false });
  if (turn.state.phase !== 'committing') return;
  if (input.kind === 'aggregated') takeCandidate(turn, input.aggregate);
  else if (abortsRound.has(input.reason.code)) turn.abortRound(input.reason);
  else turn.record({ kind: 'run.paused', data: { reason: input.reason } });
}

function stop(turn: Turn): void {
  const payloads = turn.acceptedPayloads();
  const adapters = turn.unusedBlobs(turn.state.candidate);
  turn.record({ kind: 'run.stopped', data: {} });
  turn.effect({ kind: 'discardUpdates', round: turn.state.round, payloads, adapters });
  turn.endRun('stopped', '');
}

function greet(turn: Turn, nodeId: NodeId): void {
  if (turn.state.lifecycle === 'running' || turn.state.lifecycle === 'paused')
    phaseIn(turn.state, activePhase(turn.state))?.greet(turn, nodeId);
}

const hear = (turn: Turn, nodeId: NodeId): void =>
  turn.change({ heardAt: withEntry(turn.state.heardAt, nodeId, turn.now) });

function disconnect(turn: Turn, nodeId: NodeId): void {
  const connected = new Map(turn.state.connected);
  connected.delete(nodeId);
  turn.change({ connected });
}

/** What was silent because nobody listened is not late. */
const renewLeases = (turn: Turn): void =>
  turn.change({ heardAt: new Map([...turn.state.participants.keys()].map((nodeId) => [nodeId, turn.now])) });

function requireLifecycle(turn: Turn, verb: string, ...allowed: RunState['lifecycle'][]): void {
  const { lifecycle, runId } = turn.state;
  if (hasEnded(turn.state) || !allowed.includes(lifecycle)) {
    throw new WeftError(
      'WEFT_RUN_STATE',
      `run ${runId} is ${lifecycle}; to ${verb} it, it must be ${allowed.join(' or ')}`,
    );
  }
}

import { withEntry, type NodeId, type Sha256 } from '@weft/shared';
import type { EventData, NewEvent, StoredEvent } from '../store/events.ts';
import { moveSession, openSession, postpone, unrevealed } from './secure-session.ts';
import {
  activePhase,
  findVersion,
  type FactorValues,
  hasEnded,
  type Participant,
  type RoundTiming,
  type RunState,
} from './state.ts';

/** Rows that the machine wrote, with the moment at which it did. */
export type RunEvent = (NewEvent | StoredEvent) & { readonly at: number };

export const initialState = (
  runId: RunState['runId'],
  { spec, layoutSha256, adapter }: EventData<'run.created'>,
  timing: RoundTiming,
  factorValues: FactorValues,
): RunState => ({
  runId,
  spec,
  layoutSha256,
  timing,
  lifecycle: 'created',
  phase: 'waiting',
  resumePhase: 'waiting',
  pausedAt: 0,
  round: -1,
  factor: 'B',
  committedRounds: 0,
  failedTries: 0,
  retryAt: 0,
  adapter,
  versions: [{ adapter, momentum: undefined, committedRounds: 0 }],
  clipNormL2: spec.aggregation.clipNormL2,
  momentum: undefined,
  candidate: undefined,
  gateScores: new Map(),
  participants: new Map(),
  scorers: new Set(),
  cohort: [],
  factorValues,
  secure: undefined,
  blamed: new Set(),
  silentBeacons: new Set(),
  startedAt: 0,
  cohortAt: 0,
  committingAt: 0,
  quorumDeadlineAt: 0,
  deadlineAt: 0,
  trainingTimes: [],
  reason: undefined,
  lastEventAt: 0,
  connected: new Map(),
  heardAt: new Map(),
  leases: { of: '', until: 0 },
  bytesDown: new Map(),
  enoughSince: undefined,
  aggregating: false,
  scoring: false,
  logHead: { size: 0, root: new Uint8Array(32) },
});

const rememberedTrainingTimes = 64;

/** The state after one row. Recovery folds the table with it; the machine changes durable state in no other way. */
export const evolve = (state: RunState, event: RunEvent): RunState => ({
  ...apply(state, event),
  lastEventAt: event.at,
});

function apply(state: RunState, event: RunEvent): RunState {
  switch (event.kind) {
    case 'run.started':
      return { ...state, lifecycle: 'running' };
    case 'run.paused':
      return {
        ...state,
        lifecycle: 'paused',
        phase: 'paused',
        resumePhase: state.phase,
        pausedAt: event.at,
        reason: event.data.reason,
      };
    case 'run.resumed':
      return {
        ...moveDeadlines(state, event.at - state.pausedAt),
        lifecycle: 'running',
        phase: state.resumePhase,
        reason: undefined,
      };
    case 'run.recovered':
      return {
        ...moveDeadlines(state, event.at - state.lastEventAt),
        // A pause before the next try goes on meanwhile; only by as much as the clock was set back it must not grow.
        retryAt: state.retryAt + Math.min(0, event.at - state.lastEventAt),
      };
    case 'run.stopped':
      return { ...state, lifecycle: 'stopped', phase: 'aborted' };
    case 'run.aborted':
      return { ...state, lifecycle: 'aborted', phase: 'aborted', reason: event.data.reason };
    case 'run.finished':
      return { ...state, lifecycle: 'finished', phase: 'finished' };
    case 'round.started':
      return {
        ...state,
        round: event.round!,
        factor: event.data.factor,
        participants: new Map(),
        cohort: [],
        secure: undefined,
        startedAt: event.at,
        quorumDeadlineAt: event.data.quorumDeadlineAt,
        deadlineAt: event.data.deadlineAt,
        bytesDown: new Map(),
      };
    case 'round.phase':
      return enterPhase(state, event);
    case 'node.offered':
      return withParticipant(state, event.nodeId!, (known) => ({
        evaluated: false,
        announcements: 0,
        offeredAt: event.at,
        ...known,
        stage: 'offered',
      }));
    case 'evaluation.reported':
      return withParticipant(
        { ...state, scorers: new Set(state.scorers).add(event.nodeId!) },
        event.nodeId!,
        (known) =>
          known && {
            ...known,
            evaluated: true,
            stage: activePhase(state) === 'evaluating' && state.candidate === undefined ? 'evaluated' : known.stage,
          },
      );
    case 'node.ready':
      return {
        ...withParticipant(
          state,
          event.nodeId!,
          (known) =>
            known && {
              ...known,
              stage: 'ready',
              payload: { sha256: event.data.payloadSha256, sizeBytes: event.data.payloadBytes },
              announcements: known.announcements + 1,
              publicKey: event.data.publicKey,
              logSize: event.data.logSize ?? 0,
              organisation: event.data.organisation,
              beaconCommitment: event.data.beaconCommitment,
            },
        ),
        trainingTimes: [...state.trainingTimes, event.data.elapsedMs].slice(-rememberedTrainingTimes),
      };
    case 'node.declined':
      return withParticipant(
        state,
        event.nodeId!,
        (known) =>
          known && { ...known, ...(known.stage === 'accepted' ? { refusedCut: true } : { stage: 'declined' }) },
      );
    case 'node.left':
      return withParticipant(state, event.nodeId!, (known) => known && { ...known, stage: 'left' });
    case 'cohort.fixed':
      return { ...state, cohort: event.data.nodeIds, cohortAt: event.at, deadlineAt: event.data.deadlineAt };
    case 'secagg.opened':
      return { ...state, secure: openSession(event.data, event.at) };
    case 'secagg.moved':
      return { ...state, secure: state.secure && moveSession(state.secure, event.data, event.at) };
    case 'node.blamed':
      return { ...state, blamed: new Set(state.blamed).add(event.nodeId!) };
    case 'update.accepted':
      return withParticipant(
        state,
        event.nodeId!,
        (known) => known && { ...known, stage: 'accepted', update: toAccepted(event.data) },
      );
    case 'round.aggregated':
      return { ...state, candidate: event.data };
    case 'gate.scored': {
      const { adapterSha256, ...score } = event.data;
      return { ...state, gateScores: new Map(state.gateScores).set(adapterSha256, score) };
    }
    case 'round.committed': {
      const { adapter, momentum, clipping } = event.data;
      const clipNormL2 = clipping?.nextClipNormL2 ?? state.clipNormL2;
      const version = { adapter, momentum, committedRounds: state.committedRounds + 1 };
      const versions = [...state.versions, version];
      return { ...state, ...version, versions, clipNormL2, candidate: undefined, failedTries: 0, retryAt: 0 };
    }
    case 'run.rolledBack':
      return rollBack(state, event.data.adapter.sha256);
    case 'round.aborted':
      return {
        ...state,
        candidate: undefined,
        failedTries: state.failedTries + 1,
        retryAt: event.data.retryAt,
        silentBeacons: new Set([...state.silentBeacons, ...(state.secure ? unrevealed(state.secure) : [])]),
      };
    default:
      return state;
  }
}

const moveDeadlines = (state: RunState, ms: number): RunState => ({
  ...state,
  quorumDeadlineAt: state.quorumDeadlineAt + ms,
  deadlineAt: state.deadlineAt + ms,
  secure: state.secure && postpone(state.secure, ms),
});

/**
 * As after the round that made this version: its momentum, and the factor that was due next. The clip norm stays where it
 * is, since nodes hold each one against the one before.
 */
function rollBack(state: RunState, sha256: Sha256): RunState {
  const version = findVersion(state, sha256);
  if (version === undefined) return state;
  return {
    ...state,
    ...version,
    candidate: undefined,
    failedTries: 0,
    retryAt: 0,
    resumePhase: 'waiting',
    participants: new Map(),
    cohort: [],
    secure: undefined,
  };
}

function enterPhase(state: RunState, event: RunEvent & { kind: 'round.phase' }): RunState {
  const { phase } = event.data;
  if (hasEnded(state)) return state;
  switch (phase) {
    case 'waiting':
      return { ...state, phase, participants: new Map(), cohort: [], secure: undefined };
    case 'committing':
      return { ...state, phase, committingAt: event.at };
    case 'evaluating':
      // By the gate; what the round has is needed until it passed.
      if (state.candidate !== undefined) return { ...state, phase };
      return {
        ...state,
        phase,
        round: event.round!,
        participants: new Map(),
        cohort: [],
        deadlineAt: event.data.deadlineAt ?? event.at,
      };
    default:
      return { ...state, phase };
  }
}

function withParticipant(
  state: RunState,
  nodeId: NodeId,
  change: (known: Participant | undefined) => Participant | undefined,
): RunState {
  const changed = change(state.participants.get(nodeId));
  if (changed === undefined) return state;
  return { ...state, participants: withEntry(state.participants, nodeId, changed) };
}

const toAccepted = (data: EventData<'update.accepted'>) => ({
  payload: { sha256: data.payloadSha256, sizeBytes: data.payloadBytes },
  updateSha256: data.updateSha256,
  weight: data.weight,
  clipped: data.clipped,
  saturatedValues: data.saturatedValues,
  values: data.values,
  chunkRoot: data.chunkRoot,
});

import type {
  GateScore,
  merkle,
  NodeId,
  RoundPhase,
  RunId,
  RunSpec,
  secagg,
  Sha256,
  TrainedFactor,
} from '@weft/shared';
import type { BlobInfo, EventData, Reason } from '../store/events.ts';

export type Lifecycle = 'created' | 'running' | 'paused' | 'finished' | 'stopped' | 'aborted';

/** How patient the machine is. All of it concerns progress, none of it a single call. */
export interface RoundTiming {
  /** A node that is silent for so long has left the round. */
  readonly leaseMs: number;
  /** Once the minimum is there, wait so long after the last arrival for more nodes. */
  readonly settleMs: number;
  /** After so many medians of earlier training times the quorum is enough. */
  readonly medianFactor: number;
  /** The adaptive deadline is never shorter. */
  readonly shortestDeadlineMs: number;
  /** Pause before the next try of a round that was aborted; doubles with each failure. */
  readonly retryMs: number;
  readonly longestRetryMs: number;
  /** After so many tries in a row that committed nothing the run is given up. */
  readonly failedTries: number;
}

export const defaultTiming: RoundTiming = {
  leaseMs: 30_000,
  settleMs: 1_000,
  medianFactor: 2,
  shortestDeadlineMs: 10_000,
  retryMs: 1_000,
  longestRetryMs: 60_000,
  failedTries: 8,
};

export type ParticipantStage = 'offered' | 'ready' | 'accepted' | 'evaluated' | 'declined' | 'left';

export interface Participant {
  readonly stage: ParticipantStage;
  readonly offeredAt: number;
  readonly evaluated: boolean;
  /** What it announced last, and how often it did. */
  readonly payload?: BlobInfo;
  readonly announcements: number;
  /** Ed25519, in hex. */
  readonly publicKey?: string | undefined;
  /** Entries of the log that it has seen. */
  readonly logSize?: number;
  /** Key of the organisation that endorsed it, in hex. */
  readonly organisation?: string | undefined;
  /** SHA-256 of what it reveals if it is a beacon. */
  readonly beaconCommitment?: Sha256 | undefined;
  /** What was accepted. */
  readonly update?: AcceptedUpdate;
  /** Its update was accepted, and then it left the session. */
  readonly refusedCut?: boolean;
}

export interface AcceptedUpdate {
  readonly payload: BlobInfo;
  readonly updateSha256: Sha256;
  readonly weight: number;
  readonly clipped: boolean;
  readonly saturatedValues: number;
  readonly values: number;
  /** Of a masked vector, in hex. */
  readonly chunkRoot: Sha256 | undefined;
}

/** What a round's updates made. */
export type Candidate = EventData<'round.aggregated'>;

/** A version of the adapter: the first one, and what each committed round made. */
export interface Version {
  readonly adapter: BlobInfo;
  /** Of the server optimizer, as it was then. */
  readonly momentum: BlobInfo | undefined;
  /** Rounds that it has behind it. */
  readonly committedRounds: number;
}

/** A session of secure aggregation, from its rows alone. */
export interface SecureSession {
  readonly options: secagg.ServerOptions;
  readonly server: secagg.ServerState;
}

/** Coordinates of an update that trains this factor. */
export type FactorValues = Readonly<Record<TrainedFactor, number>>;

/**
 * One run. All but the last block follows from the event table alone, so folding the rows again gives it back.
 */
export interface RunState {
  readonly runId: RunId;
  readonly spec: RunSpec;
  readonly layoutSha256: Sha256;
  readonly timing: RoundTiming;
  readonly lifecycle: Lifecycle;
  readonly phase: RoundPhase;
  /** Where a paused run goes on. */
  readonly resumePhase: RoundPhase;
  readonly pausedAt: number;
  /** Of the current or last try; −1 before the first. */
  readonly round: number;
  readonly factor: TrainedFactor;
  readonly committedRounds: number;
  readonly failedTries: number;
  readonly retryAt: number;
  /** The newest committed version, or the one that the run was rolled back to. */
  readonly adapter: BlobInfo;
  /** Every version that was ever committed, also those that were rolled back, oldest first. */
  readonly versions: readonly Version[];
  /** Of the current round, and from a commit on of the next; a roll-back leaves it, since it may move by a step at a time. */
  readonly clipNormL2: number;
  /** Momentum of the server optimizer, by hash. */
  readonly momentum: BlobInfo | undefined;
  /** Added up, and not yet passed by the evaluation gate. */
  readonly candidate: Candidate | undefined;
  /** By adapter. */
  readonly gateScores: ReadonlyMap<Sha256, GateScore>;
  readonly participants: ReadonlyMap<NodeId, Participant>;
  /** Nodes that told how well an adapter of this run does on what they hold back. */
  readonly scorers: ReadonlySet<NodeId>;
  readonly cohort: readonly NodeId[];
  readonly factorValues: FactorValues;
  /** Of the current round, in mode secure, from the moment at which its cohort is fixed. */
  readonly secure: SecureSession | undefined;
  /** Nodes that secure aggregation caught lying in this run. */
  readonly blamed: ReadonlySet<NodeId>;
  /** Nodes that were beacons of a session in this run and did not reveal. */
  readonly silentBeacons: ReadonlySet<NodeId>;
  readonly startedAt: number;
  readonly cohortAt: number;
  readonly committingAt: number;
  readonly quorumDeadlineAt: number;
  readonly deadlineAt: number;
  /** Milliseconds from offer to ready, newest last. */
  readonly trainingTimes: readonly number[];
  readonly reason: Reason | undefined;
  readonly lastEventAt: number;

  // Of this process: sessions and work in progress.
  readonly connected: ReadonlyMap<NodeId, { readonly since: number }>;
  readonly heardAt: ReadonlyMap<NodeId, number>;
  /** Of whom the phase waits for: no lease ends before `until`. */
  readonly leases: { readonly of: string; readonly until: number };
  readonly bytesDown: ReadonlyMap<NodeId, number>;
  readonly enoughSince: number | undefined;
  readonly aggregating: boolean;
  readonly scoring: boolean;
  /** Of the federation's log, as it is now. */
  readonly logHead: merkle.TreeHead;
}

export const hasEnded = (state: RunState): boolean =>
  state.lifecycle === 'finished' || state.lifecycle === 'stopped' || state.lifecycle === 'aborted';

/** The phase whose facts are still taken, also while the run is paused. */
export const activePhase = (state: RunState): RoundPhase =>
  state.phase === 'paused' ? state.resumePhase : state.phase;

/** The newest where two rounds made the same one. */
export const findVersion = ({ versions }: RunState, sha256: string): Version | undefined =>
  versions.findLast(({ adapter }) => adapter.sha256 === sha256);

const inStages = new WeakMap<RunState['participants'], Map<string, readonly NodeId[]>>();

/** Asked several times at each step, of thousands: worked out once as long as nobody's stage changes. */
export function nodesIn({ participants }: RunState, ...stages: ParticipantStage[]): readonly NodeId[] {
  const known = inStages.get(participants) ?? new Map<string, readonly NodeId[]>();
  inStages.set(participants, known);
  const found =
    known.get(stages.join()) ??
    [...participants].filter(([, { stage }]) => stages.includes(stage)).map(([nodeId]) => nodeId);
  known.set(stages.join(), found);
  return found;
}

export const median = (values: readonly number[]): number | undefined => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
};

/** Whether another node may work in this round: no update beyond the maximum is taken. */
export const hasRoom = (state: RunState): boolean =>
  nodesIn(state, 'offered', 'ready', 'accepted').length < state.spec.cohort.maximum;

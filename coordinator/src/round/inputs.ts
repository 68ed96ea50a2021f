import type { GateScore, NodeId, secagg, Sha256 } from '@weft/shared';
import type { BlobInfo, EventData, NewEvent, Reason } from '../store/events.ts';
import type { AcceptedUpdate, Candidate } from './state.ts';

/** What happens to a run. */
export type RoundInput =
  | { readonly kind: 'start' | 'resume' | 'stop' | 'timer' | 'recover' }
  | { readonly kind: 'pause'; readonly reason?: Reason }
  /** To the version with this hash. */
  | { readonly kind: 'rollBack'; readonly to: string; readonly reason?: string }
  | { readonly kind: 'connected' | 'disconnected' | 'revoked' | 'heard'; readonly nodeId: NodeId }
  | { readonly kind: 'downloaded'; readonly nodeId: NodeId; readonly sizeBytes: number }
  | {
      readonly kind: 'ready';
      readonly nodeId: NodeId;
      readonly round: number;
      readonly payload: BlobInfo;
      readonly trainingMs: number;
      /** Ed25519, in hex. */
      readonly publicKey: string;
      /** Entries of the log that it has seen. */
      readonly logSize?: number;
      /** Key of the organisation that endorsed it, in hex. */
      readonly organisation?: string;
      /** SHA-256 of what it reveals if it is a beacon. */
      readonly beaconCommitment?: Sha256;
    }
  | { readonly kind: 'declined'; readonly nodeId: NodeId; readonly round: number; readonly reason: Reason }
  | {
      readonly kind: 'evaluated';
      readonly nodeId: NodeId;
      readonly round: number;
      readonly adapterSha256: Sha256;
      readonly lossSum: number;
      readonly tokens: number;
    }
  /** The update's bytes are durable and everything about it was checked. */
  | {
      readonly kind: 'uploaded';
      readonly nodeId: NodeId;
      readonly round: number;
      readonly update: EventData<'update.accepted'>;
    }
  /** A step of secure aggregation, as the node signed it. */
  | {
      readonly kind: 'secure';
      readonly nodeId: NodeId;
      readonly round: number;
      readonly name: string;
      readonly signed: secagg.Signed;
    }
  | { readonly kind: 'aggregated'; readonly round: number; readonly aggregate: Aggregate }
  | { readonly kind: 'aggregationFailed'; readonly round: number; readonly reason: Reason }
  /** What the gate asked for. */
  | ({ readonly kind: 'gated'; readonly adapterSha256: Sha256 } & GateScore)
  | { readonly kind: 'gateFailed'; readonly adapterSha256: Sha256; readonly reason: Reason };

/** What the aggregator made of a round; its blobs are durable. */
export interface Aggregate extends Candidate {
  /** Whether every value of the adapter is a number. */
  readonly finite: boolean;
}

export interface SummedShard {
  readonly nodeIds: readonly NodeId[];
  /** What takes the masks off their sum. */
  readonly masks: readonly secagg.MaskTerm[];
}

/** What is to be done about it, in this order; `record` comes first and nothing else happens if it fails. */
export type Effect =
  | { readonly kind: 'record'; readonly events: readonly NewEvent[] }
  | { readonly kind: 'offer'; readonly nodeId: NodeId; readonly work: 'train' | 'evaluate'; readonly round: number }
  | {
      readonly kind: 'announceCohort';
      readonly to: readonly NodeId[];
      readonly round: number;
      readonly nodeIds: readonly NodeId[];
      readonly deadlineAt: number;
    }
  | {
      readonly kind: 'aggregate';
      readonly round: number;
      readonly updates: ReadonlyMap<NodeId, AcceptedUpdate>;
      /** Which of them are summed together before the masks come off, shard by shard; undefined in mode plain. */
      readonly shards: readonly SummedShard[] | undefined;
    }
  /** Score this adapter on the gate's file. */
  | { readonly kind: 'gate'; readonly adapter: BlobInfo }
  | {
      readonly kind: 'sendSecure';
      readonly to: readonly NodeId[];
      readonly round: number;
      readonly message: secagg.ServerMessage;
      /** With an offer: who may take part. */
      readonly memberKeys?: readonly Uint8Array[];
    }
  | {
      readonly kind: 'announceResult';
      readonly to: readonly NodeId[];
      readonly round: number;
      readonly committed: boolean;
      readonly adapter: BlobInfo;
      readonly reason: string;
      readonly contributors: number;
    }
  /** The updates of the round are no longer needed, nor is what was made of them. */
  | {
      readonly kind: 'discardUpdates';
      readonly round: number;
      readonly payloads: readonly Sha256[];
      /** Blobs of an adapter that was not committed. */
      readonly adapters: readonly Sha256[];
    }
  | {
      readonly kind: 'announceEnd';
      readonly to: readonly NodeId[];
      readonly outcome: 'finished' | 'aborted' | 'stopped';
      readonly adapter: BlobInfo;
      readonly reason: string;
    }
  /** When to come back with `timer`; undefined: only something else can change the run. */
  | { readonly kind: 'schedule'; readonly at: number | undefined };

import type { MessageInitShape } from '@bufbuild/protobuf';
import type { CoordinatorMessageSchema, Envelope, NodeMessage } from '@weft/proto';
import type { NodeId, Sha256, WeftError } from '@weft/shared';

/** What the coordinator says within a session; the gateway adds session id, sequence number and signature. */
export type CoordinatorSays = Extract<MessageInitShape<typeof CoordinatorMessageSchema>['kind'], { case: string }>;
/** What a node said, after signature, session id and sequence number held. */
export type NodeSays = NodeMessage['kind'];

/** The sessions that are open now. Implemented by the gRPC server, used by the runs. */
export interface NodeGateway {
  connected(): readonly NodeId[];
  /**
   * Queues a message on the node's session; false where it has none. Whoever tells many the same gives the same object, so
   * that its bytes are made once; `own` has what this node alone is told with it, more fields of the same kind.
   */
  send(nodeId: NodeId, message: CoordinatorSays, own?: CoordinatorSays): boolean;
  /** Ends the node's session and its ticket. */
  end(nodeId: NodeId, reason: WeftError): void;
}

/** What sessions and transfers tell the runs. Implemented by the runs, called by the gRPC server. */
export interface RunInbox {
  nodeConnected(nodeId: NodeId): void;
  nodeDisconnected(nodeId: NodeId): void;
  /** Resolves once what was said is durable, where it changes anything; throws a catalogued error to be sent as Refusal. */
  receive(nodeId: NodeId, said: NodeSays): Promise<void>;
  /** A file that this node was offered, or undefined: never an update. */
  offeredBlob(nodeId: NodeId, sha256: Sha256): Promise<{ path: string; sizeBytes: number } | undefined>;
  countDownload(nodeId: NodeId, sizeBytes: number): void;
  /** Checks signature, binding and offset before a byte is taken; throws a catalogued error. */
  openUpload(nodeId: NodeId, update: Envelope, offset: number): Promise<UploadSink>;
  uploadStatus(nodeId: NodeId, upload: { runId: string; round: number; payloadSha256: string }): Promise<UploadState>;
}

export interface UploadSink {
  /** Resolves when the bytes are written; throws WEFT_TRANSFER_TOO_LARGE. */
  write(chunk: Uint8Array): Promise<void>;
  /** Length and hash hold, file and event row are durable; the receipt may leave. */
  finish(): Promise<Envelope>;
  /** The stream broke: what came is kept for a resume. */
  suspend(): Promise<void>;
}

export interface UploadState {
  readonly receivedBytes: number;
  readonly receipt?: Envelope;
}

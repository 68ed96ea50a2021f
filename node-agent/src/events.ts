import type { TrainedFactor } from '@weft/shared';

interface OfRound {
  readonly runId: string;
  readonly round: number;
}

/** A fault as events carry it: a code and numbers, never a message that could quote data or name a file. */
export interface EventFault {
  readonly code: string;
  readonly todo: string;
  readonly numbers: Readonly<Record<string, number>>;
  /** Of a refusal by the policy: the names of the rules. */
  readonly rule?: string;
  /** What the run asks for and what the policy says, in words of our own. */
  readonly why?: string;
  /** Where in Weft's own code, for a fault that is not catalogued. */
  readonly where?: readonly string[];
}

/** What a node tells its operator. None of it holds a text, a token id, a tensor or the name of a data file. */
export type NodeEvent =
  | {
      readonly event: 'started';
      readonly nodeId: string;
      readonly nodeName: string;
      readonly federationId: string;
      readonly federationName: string;
      readonly address: string;
      readonly records: number;
      readonly notice: string;
    }
  | { readonly event: 'connecting'; readonly address: string; readonly attempt: number }
  | { readonly event: 'connected'; readonly address: string }
  | ({ readonly event: 'disconnected'; readonly retryInMs: number } & EventFault)
  | ({
      readonly event: 'offered';
      readonly runName: string;
      readonly rounds: number;
      readonly kind: 'train' | 'evaluate';
      readonly factor: TrainedFactor;
      readonly steps: number;
      readonly batchOrderSeed: number;
    } & OfRound)
  | ({ readonly event: 'downloading' | 'uploading'; readonly done: number; readonly total: number } & OfRound)
  | ({ readonly event: 'evaluating'; readonly examples: number } & OfRound)
  | ({
      readonly event: 'evaluated';
      readonly loss: number;
      readonly tokens: number;
      readonly seconds: number;
    } & OfRound)
  | ({
      readonly event: 'training';
      readonly done: number;
      readonly total: number;
      readonly loss: number;
      readonly tokensPerSecond: number;
    } & OfRound)
  | ({
      readonly event: 'trained';
      readonly examples: number;
      readonly weight: number;
      readonly normL2: number;
      readonly clipped: boolean;
      readonly saturatedValues: number;
      readonly payloadBytes: number;
      readonly seconds: number;
    } & OfRound)
  | ({
      readonly event: 'sent';
      readonly said: string;
      readonly payloadBytes: number;
      readonly payloadSha256: string;
      readonly seconds: number;
    } & OfRound)
  /** The end of a round was shown in the transparency log, and holds. */
  | ({
      readonly event: 'log-shown';
      readonly end: 'result' | 'abort';
      readonly leftOut: boolean;
      readonly logSize: number;
    } & OfRound)
  /** The log or a session did not hold: what the coordinator signed is kept, and no further round of this scope is taken part in. */
  | ({
      readonly event: 'log-distrusted';
      readonly check: string;
      /** A run, or the federation. */
      readonly scope: string;
      /** A file in `evidence` of the home. */
      readonly evidence: string;
    } & OfRound)
  | ({ readonly event: 'left-out' } & OfRound)
  | ({ readonly event: 'declined' } & EventFault & OfRound)
  | ({
      readonly event: 'round-ended';
      readonly committed: boolean;
      readonly contributors: number;
      readonly code: string;
    } & OfRound)
  | { readonly event: 'run-ended'; readonly runId: string; readonly outcome: string }
  | ({ readonly event: 'refused' } & EventFault)
  | { readonly event: 'certificate-renewed' }
  | ({ readonly event: 'summary' } & NodeSummary);

/** What the node did since it was started. */
export interface NodeSummary {
  readonly updates: number;
  /** Examples that it trained on in its last round. */
  readonly examples: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly seconds: {
    readonly training: number;
    readonly evaluating: number;
    readonly transfer: number;
    readonly total: number;
  };
}

import type { FederationId, Identity, NodeId, SeededRandom } from '@weft/shared';
import type { Logger } from 'pino';
import type { Aggregator } from '../aggregation/aggregator.ts';
import type { AdapterScorer } from '../evaluation/adapter-scorer.ts';
import type { NodeGateway } from '../federation/ports.ts';
import type { LogWatchers } from '../log/log-watchers.ts';
import type { TransparencyLog } from '../log/transparency-log.ts';
import type { Models } from '../models/models.ts';
import type { RoundTiming } from '../round/index.ts';
import type { Store } from '../store/store.ts';
import type { Clock } from './clock.ts';
import type { OnPoint } from './points.ts';
import type { Publisher } from './publisher.ts';
import type { RunBlobs } from './run-blobs.ts';

/** What the runs need of the process around them. */
export interface RunContext {
  readonly store: Store;
  readonly blobs: RunBlobs;
  readonly identity: Identity;
  readonly federationId: FederationId;
  readonly gateway: NodeGateway;
  readonly registry: {
    publicKey(id: NodeId): Uint8Array | undefined;
    endorsement(id: NodeId): Uint8Array;
    approved(id: NodeId): boolean;
  };
  readonly transparencyLog: Pick<TransparencyLog, 'head' | 'prove'>;
  /** Who is shown the log; nobody without one. */
  readonly watchers: Omit<LogWatchers, 'close'> | undefined;
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly models: Models;
  readonly aggregator: Aggregator;
  readonly scorer: AdapterScorer;
  /** Where GGUF files are unpacked. */
  readonly cacheDir?: string | undefined;
  readonly timing: RoundTiming;
  readonly logger: Logger;
  readonly onPoint: OnPoint;
}

import { join } from 'node:path';
import type { CertificateRenewal } from '@weft/proto';
import { WeftError } from '@weft/shared';
import type { Logger } from 'pino';
import { createLiveFeed, type LiveFeed } from '../admin/live-feed.ts';
import type { CoordinatorHome } from '../home/home.ts';
import { createLogWatchers } from '../log/log-watchers.ts';
import { openPublishedRounds } from '../log/published-rounds.ts';
import { openTransparencyLog, type TransparencyLog } from '../log/transparency-log.ts';
import { createModels, type Models } from '../models/models.ts';
import { createRegistry, type Registry } from '../registry/registry.ts';
import { openRunBlobs } from '../runs/run-blobs.ts';
import { systemClock } from '../runs/clock.ts';
import { createRuns, type Runs, type RunsOptions } from '../runs/runs.ts';
import type { NetworkLimits } from '../sessions/limits.ts';
import { createSessions, type Sessions } from '../sessions/sessions.ts';
import { createTickets, type Tickets } from '../sessions/tickets.ts';
import { openStore, type Store } from '../store/store.ts';

/** What the two servers serve: one federation, as its event table left it. */
export interface Federation {
  readonly store: Store;
  readonly registry: Registry;
  readonly models: Models;
  readonly sessions: Sessions;
  readonly tickets: Tickets;
  readonly live: LiveFeed;
  readonly runs: Runs;
  readonly transparencyLog: TransparencyLog;
}

/** What a test or an embedding program sets about the runs. */
export type RunSettings = Partial<Pick<RunsOptions, 'timing' | 'random' | 'onPoint'>>;

export interface FederationOptions {
  readonly home: CoordinatorHome;
  readonly limits: NetworkLimits;
  readonly logger: Logger;
  readonly cacheDir: string | undefined;
  readonly runSettings: RunSettings;
  readonly certificateRenewal: () => CertificateRenewal | undefined;
}

/** Opens store, registry and runs; rounds that were under way go on as soon as their nodes are back. */
export async function openFederation(closers: AsyncDisposableStack, options: FederationOptions): Promise<Federation> {
  const { home, limits, logger, cacheDir, runSettings, certificateRenewal } = options;
  const { identity, federationId } = home;
  const store = openStore(home.path, { now: () => systemClock.now() });
  closers.defer(() => store.close());
  const blobs = await openRunBlobs(home.path);
  // Before everything else that listens: whoever hears of a row finds it in the registry already.
  const registry = createRegistry({ store });
  // Before the runs, so that the log of a row is there when they act on it.
  const logFolder = join(home.path, 'log');
  const transparencyLog = await openTransparencyLog({
    store,
    identity,
    folder: logFolder,
    logger,
    onCheckpoint: () => runSettings.onPoint?.('before-checkpoint'),
  });
  closers.defer(() => transparencyLog.close());
  const tickets = createTickets();
  const live = createLiveFeed();
  const sessions = createSessions({
    identity,
    federationId,
    registry,
    tickets,
    limits,
    logger,
    certificateRenewal,
    onSaid: (nodeId, said) => live.take(nodeId, said),
  });
  const models = createModels({ store, ...(cacheDir !== undefined && { cacheDir }) });
  const { gateway } = sessions;
  const watchers = await createLogWatchers({ transparencyLog, store, gateway, federationId, registry, logger });
  closers.defer(() => watchers.close());
  const runs = await createRuns({
    transparencyLog,
    watchers,
    published: openPublishedRounds(logFolder),
    store,
    blobs,
    identity,
    gateway,
    registry,
    models,
    logger,
    cacheDir,
    ...runSettings,
  });
  closers.defer(() => runs.close());
  const unsubscribe = store.subscribe(({ kind, nodeId }) => {
    if (kind !== 'node.revoked' || nodeId === undefined) return;
    gateway.end(nodeId, new WeftError('WEFT_NODE_REVOKED', `node ${nodeId} was revoked`, { nodeId }));
  });
  closers.defer(unsubscribe);
  return { store, registry, models, sessions, tickets, live, runs, transparencyLog };
}

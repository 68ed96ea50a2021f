import { join } from 'node:path';
import process from 'node:process';
import { WeftError, plainModeNotice } from '@weft/shared';
import { pino, type Logger } from 'pino';
import { createAdminApp } from './admin/admin-app.ts';
import { toFederationView } from './admin/admin-views.ts';
import { createLiveFeed } from './admin/live-feed.ts';
import { formatAddress, reachableHost } from './config/address.ts';
import { coordinatorConfigSchema, type CoordinatorConfig } from './config/coordinator-config.ts';
import { resolveConfig } from './config/resolve-config.ts';
import { createNodeService } from './grpc/node-service.ts';
import { startGrpcServer } from './grpc/server.ts';
import { readPasswordFile, verifyPassword } from './home/admin-password.ts';
import { openCoordinatorHome, type CoordinatorHome } from './home/home.ts';
import { announceRunning } from './home/running.ts';
import { createModels } from './models/models.ts';
import { createRegistry } from './registry/registry.ts';
import type { OnPoint } from './runs/points.ts';
import { openRunBlobs } from './runs/run-blobs.ts';
import { createRuns, type RunsOptions } from './runs/runs.ts';
import { defaultLimits, type NetworkLimits } from './sessions/limits.ts';
import { createSessions } from './sessions/sessions.ts';
import { createTickets } from './sessions/tickets.ts';
import { openStore } from './store/store.ts';
import { openCertificates } from './tls/certificate-store.ts';
import { version } from './version.ts';

export interface CoordinatorOptions extends Partial<CoordinatorConfig> {
  readonly home: string;
  /** WEFT_* variables, for instance process.env; none unless they are given. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cacheDir?: string;
  readonly limits?: Partial<NetworkLimits>;
  readonly timing?: RunsOptions['timing'];
  readonly random?: RunsOptions['random'];
  readonly logger?: Logger;
  /** Where a test may kill the process. */
  readonly onPoint?: OnPoint;
}

export interface RunningCoordinator {
  /** Where nodes are served on this machine. */
  readonly grpcAddress: string;
  /** What invites carry. */
  readonly advertised: string;
  readonly httpUrl: string;
  /** Drains: sessions are told, transfers may end, what was acknowledged is on the disk anyway. */
  close(): Promise<void>;
}

/** Transfers that are under way may end; then they are cut off, and resume at their offset. */
const drainMs = 5000;
const certificateCheckMs = 24 * 3600 * 1000;

/**
 * Everything of a coordinator in one process: store, runs, the nodes' server and the admin's.
 * @throws WEFT_COORDINATOR_HOME, WEFT_HOME_LOCKED, WEFT_CONFIG_INVALID, WEFT_PORT_IN_USE
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<RunningCoordinator> {
  const {
    home: path,
    env = {},
    cacheDir,
    limits: limitChanges,
    timing,
    random,
    logger: ownLogger,
    onPoint,
    ...flags
  } = options;
  const home = await openCoordinatorHome(path);
  // Undone in reverse when a later part does not start, and at the end.
  const closers: (() => unknown)[] = [() => home.release()];
  const close = async (): Promise<void> => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer();
  };
  try {
    const config = resolveConfig(coordinatorConfigSchema, {
      flags,
      env,
      file: { path: join(path, 'config.yaml'), text: home.configText },
    });
    const logger = ownLogger ?? pino({ level: config.logLevel }, pino.destination({ dest: 2, sync: true }));
    await takePassword(home, env);
    return await compose({
      home,
      config,
      logger,
      closers,
      close,
      options: { cacheDir, limits: { ...defaultLimits, ...limitChanges }, timing, random, onPoint },
    });
  } catch (error) {
    await close();
    throw error;
  }
}

interface Composition {
  readonly home: CoordinatorHome;
  readonly config: CoordinatorConfig;
  readonly logger: Logger;
  readonly closers: (() => unknown)[];
  readonly close: () => Promise<void>;
  readonly options: {
    readonly cacheDir: string | undefined;
    readonly limits: NetworkLimits;
    readonly timing: RunsOptions['timing'] | undefined;
    readonly random: RunsOptions['random'] | undefined;
    readonly onPoint: OnPoint | undefined;
  };
}

async function compose({ home, config, logger, closers, close, options }: Composition): Promise<RunningCoordinator> {
  const { identity, federationId } = home;
  const { limits } = options;
  let certificates = await openCertificates(home.path, { identity, federationId, now: Date.now() });
  const { certificate } = certificates;

  const store = openStore(home.path);
  closers.push(() => store.close());
  const blobs = await openRunBlobs(home.path);
  const registry = createRegistry({ store });
  const tickets = createTickets();
  const live = createLiveFeed();
  const sessions = createSessions({
    identity,
    federationId,
    registry,
    tickets,
    limits,
    logger,
    certificateRenewal: () => certificates.renewal,
    onSaid: (nodeId, said) => live.take(nodeId, said),
  });
  const models = createModels({ store, ...(options.cacheDir !== undefined && { cacheDir: options.cacheDir }) });
  const runs = await createRuns({
    store,
    blobs,
    identity,
    gateway: sessions.gateway,
    registry,
    models,
    logger,
    ...(options.timing && { timing: options.timing }),
    ...(options.random && { random: options.random }),
    ...(options.onPoint && { onPoint: options.onPoint }),
  });
  closers.push(() => runs.close());
  closers.push(
    store.subscribe(({ kind, nodeId }) => {
      if (kind !== 'node.revoked' || nodeId === undefined) return;
      sessions.gateway.end(nodeId, new WeftError('WEFT_NODE_REVOKED', `node ${nodeId} was revoked`, { nodeId }));
    }),
  );

  const handlers = createNodeService({
    identity,
    federationId,
    registry,
    sessions,
    tickets,
    inbox: runs,
    limits,
    logger,
  });
  const grpc = await startGrpcServer({
    host: config.grpcHost,
    port: config.grpcPort,
    ...certificate,
    handlers,
    limits,
  });
  closers.push(() => grpc.close(drainMs));
  closers.push(() => sessions.endAll(new WeftError('WEFT_COORDINATOR_STOPPING', 'the coordinator is stopping')));
  const grpcAddress = formatAddress(reachableHost(config.grpcHost), grpc.port);
  const advertised = config.advertise ?? grpcAddress;

  const app = await createAdminApp({
    registry,
    sessions,
    runs,
    models,
    store,
    live,
    logger,
    adminToken: home.adminToken,
    verifyPassword: (password) => verifyPassword(password, home.passwordHash),
    hostNames: [config.httpHost],
    coordinatorKey: identity.publicKey,
    certificateDer: () => certificate.der,
    now: Date.now,
    federation: () =>
      toFederationView({
        id: federationId,
        name: config.name,
        coordinatorKey: Buffer.from(identity.publicKey).toString('hex'),
        certificateSha256: certificate.sha256,
        grpcAddress: advertised,
        version,
      }),
  });
  closers.push(() => app.close());
  const httpUrl = await app
    .listen({ host: config.httpHost, port: config.httpPort })
    .catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EADDRINUSE') throw cause;
      throw new WeftError(
        'WEFT_PORT_IN_USE',
        `port ${config.httpPort} on ${config.httpHost} is taken`,
        { port: config.httpPort },
        { cause },
      );
    });
  const reachableUrl = httpUrl.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
  await announceRunning(home.path, { pid: process.pid, httpUrl: reachableUrl, grpcAddress });

  const checkCertificate = async (): Promise<void> => {
    const before = certificates.renewal;
    certificates = await openCertificates(home.path, { identity, federationId, now: Date.now() });
    const { renewal } = certificates;
    if (certificates.certificate.sha256 !== certificate.sha256)
      logger.warn('a new certificate is due; restart to show it');
    if (renewal === undefined || renewal === before) return;
    for (const nodeId of sessions.gateway.connected())
      sessions.gateway.send(nodeId, { case: 'certificateRenewal', value: renewal });
  };
  const certificateTimer = setInterval(() => {
    checkCertificate().catch((err: unknown) => logger.error({ err }, 'certificate check failed'));
  }, certificateCheckMs);
  certificateTimer.unref();
  closers.push(() => clearInterval(certificateTimer));

  logger.info({ federationId, grpcAddress, httpUrl: reachableUrl }, 'coordinator started');
  logger.warn({ notice: plainModeNotice }, 'plain mode');
  return { grpcAddress, advertised, httpUrl: reachableUrl, close };
}

/** A password from a file replaces the one before, so that a container's secret can be changed. */
async function takePassword(home: CoordinatorHome, env: Readonly<Record<string, string | undefined>>): Promise<void> {
  const file = env['WEFT_ADMIN_PASSWORD_FILE'];
  if (file === undefined) return;
  const password = await readPasswordFile(file);
  if (!(await verifyPassword(password, home.passwordHash))) await home.setPassword(password);
}

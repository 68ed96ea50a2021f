import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { WeftError, privacyNotice, protectionOf } from '@weft/shared';
import { pino, type Logger } from 'pino';
import { createAdminApp } from './admin/admin-app.ts';
import { toFederationView, vouchingOrganisations } from './admin/admin-views.ts';
import { formatAddress, reachableHost } from './config/address.ts';
import { coordinatorConfigSchema, type CoordinatorConfig } from './config/coordinator-config.ts';
import { resolveConfig } from './config/resolve-config.ts';
import { openFederation, type Federation, type RunSettings } from './federation/open-federation.ts';
import { createNodeService } from './grpc/node-service.ts';
import { startGrpcServer } from './grpc/server.ts';
import { readPasswordFile, verifyPassword } from './home/admin-password.ts';
import { openCoordinatorHome, type CoordinatorHome } from './home/home.ts';
import { announceRunning } from './home/running.ts';
import { defaultLimits, type NetworkLimits } from './sessions/limits.ts';
import { openCertificates } from './tls/certificate-store.ts';
import { watchCertificates, type CertificateWatch } from './tls/certificate-watch.ts';
import { version } from './version.ts';

export interface CoordinatorOptions extends Partial<CoordinatorConfig>, RunSettings {
  readonly home: string;
  /** WEFT_* variables, for instance process.env; none unless they are given. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where GGUF files are unpacked. */
  readonly cacheDir?: string;
  readonly limits?: Partial<NetworkLimits>;
  readonly logger?: Logger;
}

export interface RunningCoordinator {
  /** Where nodes are served on this machine. */
  readonly grpcAddress: string;
  /** What invites carry. */
  readonly advertised: string;
  readonly httpUrl: string;
  /** Against whom secure aggregation protects, as organisations vouch for the nodes at the start. */
  readonly protection: string;
  /** Drains: sessions are told, transfers may end, what was acknowledged is on the disk anyway. */
  close(): Promise<void>;
}

/** Transfers that are under way may end; then they are cut off, and resume at their offset. */
const drainMs = 5000;

/**
 * Everything of a coordinator in one process: store, runs, the nodes' server and the admin's.
 * @throws WEFT_COORDINATOR_HOME, WEFT_HOME_LOCKED, WEFT_CONFIG_INVALID, WEFT_PORT_IN_USE
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<RunningCoordinator> {
  const { home: path, env = {}, cacheDir, limits: changes, logger: own, timing, random, onPoint, ...flags } = options;
  // Undone in reverse, when a later part does not start and at the end.
  await using starting = new AsyncDisposableStack();
  const home = await openCoordinatorHome(path);
  starting.defer(() => home.release());
  const file = { path: join(path, 'config.yaml'), text: home.configText };
  const config = resolveConfig(coordinatorConfigSchema, { flags, env, file });
  const logger = own ?? pino({ level: config.logLevel }, pino.destination({ dest: 2, sync: true }));
  const limits = { ...defaultLimits, ...changes };
  await takePassword(home, env);

  const { identity, federationId } = home;
  const certificates = await watchCertificates(
    () => openCertificates(path, { identity, federationId, now: Date.now() }),
    { logger, onRenewal: (renewal) => federation.sessions.sendAll({ case: 'certificateRenewal', value: renewal }) },
  );
  starting.use(certificates);
  const federation = await openFederation(starting, {
    home,
    limits,
    logger,
    cacheDir,
    runSettings: { ...(timing && { timing }), ...(random && { random }), ...(onPoint && { onPoint }) },
    certificateRenewal: certificates.renewal,
  });
  const serving: Serving = { home, config, limits, logger, certificates, federation };
  const grpcAddress = await serveNodes(starting, serving);
  const advertised = config.advertise ?? grpcAddress;
  const httpUrl = await serveAdmin(starting, serving, advertised);
  await announceRunning(path, { pid: process.pid, httpUrl, grpcAddress });

  logger.info({ federationId, grpcAddress, httpUrl }, 'coordinator started');
  logger.info({ notice: privacyNotice }, 'privacy');
  const protection = protectionOf(vouchingOrganisations(federation.registry.list()));
  const closers = starting.move();
  return { grpcAddress, advertised, httpUrl, protection, close: () => closers.disposeAsync() };
}

interface Serving {
  readonly home: CoordinatorHome;
  readonly config: CoordinatorConfig;
  readonly limits: NetworkLimits;
  readonly logger: Logger;
  readonly certificates: CertificateWatch;
  readonly federation: Federation;
}

/** @returns where nodes are served. @throws WEFT_PORT_IN_USE */
async function serveNodes(closers: AsyncDisposableStack, serving: Serving): Promise<string> {
  const { home, config, limits, logger, certificates, federation } = serving;
  const { registry, sessions, tickets, runs } = federation;
  const { identity, federationId } = home;
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
  const { certificate } = certificates;
  const grpc = await startGrpcServer({
    host: config.grpcHost,
    port: config.grpcPort,
    ...certificate,
    handlers,
    limits,
  });
  closers.defer(() => grpc.close(drainMs));
  closers.defer(() => sessions.endAll(new WeftError('WEFT_COORDINATOR_STOPPING', 'the coordinator is stopping')));
  return formatAddress(reachableHost(config.grpcHost), grpc.port);
}

/** @returns the address of the admin page. @throws WEFT_PORT_IN_USE */
async function serveAdmin(closers: AsyncDisposableStack, serving: Serving, advertised: string): Promise<string> {
  const { home, config, logger, certificates, federation } = serving;
  const { certificate } = certificates;
  const coordinatorKey = home.identity.publicKey;
  const app = await createAdminApp({
    ...federation,
    logger,
    adminToken: home.adminToken,
    verifyPassword: (password) => verifyPassword(password, home.passwordHash),
    hostNames: [config.httpHost],
    coordinatorKey,
    certificateDer: () => certificate.der,
    now: Date.now,
    federation: () =>
      toFederationView(
        {
          id: home.federationId,
          name: config.name,
          coordinatorKey: Buffer.from(coordinatorKey).toString('hex'),
          certificateSha256: certificate.sha256,
          grpcAddress: advertised,
          version,
        },
        federation.registry.list(),
      ),
  });
  closers.defer(() => app.close());
  const { httpHost: host, httpPort: port } = config;
  await app.listen({ host, port }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EADDRINUSE') throw cause;
    throw new WeftError('WEFT_PORT_IN_USE', `port ${port} on ${host} is taken`, { port }, { cause });
  });
  const bound = app.server.address() as AddressInfo;
  return `http://${formatAddress(reachableHost(host), bound.port)}`;
}

/** A password from a file replaces the one before, so that a container's secret can be changed. */
async function takePassword(home: CoordinatorHome, env: Readonly<Record<string, string | undefined>>): Promise<void> {
  const file = env['WEFT_ADMIN_PASSWORD_FILE'];
  if (file === undefined) return;
  const password = await readPasswordFile(file);
  if (!(await verifyPassword(password, home.passwordHash))) await home.setPassword(password);
}

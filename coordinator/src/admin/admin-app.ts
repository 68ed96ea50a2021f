import cookie from '@fastify/cookie';
import rateLimit from '@fastify/rate-limit';
import { WeftError, catalogue, toWeftError, type ErrorView } from '@weft/shared';
import fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyRequest,
} from 'fastify';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { TransparencyLog } from '../log/transparency-log.ts';
import type { Store } from '../store/store.ts';
import { createAccessControl, sessionCookieName, sessionLifetimeMs, type AdminAccess } from './access.ts';
import { openEventStream, streamEvents, type EventStream } from './event-streams.ts';
import type { LiveFeed } from './live-feed.ts';
import { serveLog } from './log-routes.ts';
import { servePage } from './page.ts';
import { checkRequestOrigin, requireOrigin, type RequestOrigin } from './request-guard.ts';
import { addRoutes, parse, type AdminContext } from './routes.ts';
import { securityHeaders } from './security-headers.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Reached without logging in. */
    open?: boolean;
    /** Not for a browser, whoever is logged in. */
    commandsOnly?: boolean;
  }
}

export interface AdminOptions extends AdminContext {
  readonly adminToken: string;
  readonly verifyPassword: (password: string) => Promise<boolean>;
  readonly store: Store;
  readonly live: LiveFeed;
  readonly transparencyLog: AdminContext['transparencyLog'] & Pick<TransparencyLog, 'find'>;
  readonly logger: Logger;
  /** Names under which the page is reached, beside those of loopback. */
  readonly hostNames?: readonly string[];
}

/** A run spec is a page of text; a request is no more than a few. */
const maxBodyBytes = 256 * 1024;
/** Of a password with 128 bits nobody guesses one in a thousand lifetimes; of a chosen one these keep it so. */
const loginAttemptsPerMinute = 10;

const loginRequest = z.strictObject({ password: z.string().max(1000) });
const sequence = z.coerce.number().int().min(0).optional();

/** The admin's HTTP server, not yet listening. */
export async function createAdminApp(options: AdminOptions): Promise<FastifyInstance> {
  const { store, live, logger, hostNames = [], now } = options;
  const access = createAccessControl({ adminToken: options.adminToken, now });
  const streams = new Set<EventStream>();
  const loggerInstance: FastifyBaseLogger = logger;
  const logController = new LogController({ disableRequestLogging: true });
  const app = fastify({ loggerInstance, logController, bodyLimit: maxBodyBytes, forceCloseConnections: true });

  app.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders);
    checkRequestOrigin(originOf(request), hostNames);
  });
  await app.register(cookie);
  await app.register(rateLimit, { global: false });

  const authenticate = (request: FastifyRequest): AdminAccess => {
    const found = access.check({
      authorization: request.headers.authorization,
      cookie: request.cookies[sessionCookieName],
    });
    if (found === 'page') requireOrigin(originOf(request));
    return found;
  };
  app.addHook('preHandler', async (request, reply) => {
    const { open, commandsOnly } = request.routeOptions.config;
    if (open === true || request.is404) return;
    if (!request.url.startsWith('/api/')) return;
    reply.header('cache-control', 'no-store');
    if (authenticate(request) === 'page' && commandsOnly === true) {
      throw new WeftError('WEFT_ADMIN_ORIGIN', 'this is for commands on the coordinator’s machine, not for a page');
    }
  });

  const limited = {
    max: loginAttemptsPerMinute,
    timeWindow: '1 minute',
    // Everyone who reaches loopback looks the same, so all tries count together.
    keyGenerator: () => 'login',
    errorResponseBuilder: () =>
      new WeftError('WEFT_ADMIN_RATE_LIMITED', `more than ${loginAttemptsPerMinute} tries to log in within a minute`),
  };
  app.post('/api/login', { config: { open: true, rateLimit: limited } }, async (request, reply) => {
    requireOrigin(originOf(request));
    const { password } = parse(loginRequest, request.body);
    if (!(await options.verifyPassword(password))) {
      logger.warn('login refused');
      throw new WeftError('WEFT_ADMIN_UNAUTHENTICATED', 'this is not the password');
    }
    logger.info('admin logged in');
    return reply
      .setCookie(sessionCookieName, access.openSession(), {
        path: '/',
        httpOnly: true,
        sameSite: 'strict',
        maxAge: sessionLifetimeMs / 1000,
      })
      .code(204)
      .send();
  });
  app.post('/api/logout', { config: { open: true } }, async (request, reply) => {
    requireOrigin(originOf(request));
    access.endSession(request.cookies[sessionCookieName] ?? '');
    return reply.clearCookie(sessionCookieName, { path: '/' }).code(204).send();
  });

  const openStream = (request: FastifyRequest, response: Parameters<typeof openEventStream>[0]): EventStream => {
    const stream = openEventStream(response, securityHeaders);
    streams.add(stream);
    const cookieValue = request.headers.authorization === undefined ? request.cookies[sessionCookieName] : undefined;
    const forget = cookieValue === undefined ? () => {} : access.onEnd(cookieValue, () => stream.close());
    stream.onClose(() => {
      streams.delete(stream);
      forget();
    });
    return stream;
  };
  app.get('/api/events', (request, reply) => {
    const after = parse(
      sequence,
      request.headers['last-event-id'] ?? (request.query as { after?: string }).after,
      'Last-Event-ID',
    );
    reply.hijack();
    streamEvents(store, openStream(request, reply.raw), after);
  });
  app.get('/api/live', (request, reply) => {
    reply.hijack();
    const stream = openStream(request, reply.raw);
    stream.onClose(live.subscribe((progress) => stream.send({ kind: 'progress', data: progress })));
  });
  app.addHook('preClose', async () => {
    for (const stream of streams) stream.close();
  });

  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
  addRoutes(app, options);
  serveLog(app, options.transparencyLog);
  servePage(app);
  app.setNotFoundHandler(() => {
    throw new WeftError('WEFT_ADMIN_NOT_FOUND', 'there is nothing at this address');
  });
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const weftError = fromFastifyError(error);
    if (weftError.code === 'WEFT_INTERNAL') logger.error({ err: weftError.cause ?? weftError }, 'request failed');
    const { http } = catalogue[weftError.code];
    const view: ErrorView = {
      code: weftError.code,
      message: weftError.message,
      todo: weftError.todo,
      retry: weftError.retryable,
    };
    return reply.code(http).send(view);
  });
  return app;
}

const originOf = ({ method, headers }: FastifyRequest): RequestOrigin => ({
  method,
  host: headers.host,
  origin: headers.origin,
  fetchSite: single(headers['sec-fetch-site']),
});

const single = (header: string | string[] | undefined): string | undefined =>
  Array.isArray(header) ? header[0] : header;

/** Fastify's own refusals, of a body that does not parse or is too long, are the caller's mistakes and not ours. */
function fromFastifyError(error: FastifyError): WeftError {
  if (!error.code?.startsWith('FST_') || (error.statusCode ?? 500) >= 500) return toWeftError(error);
  return new WeftError('WEFT_USAGE', error.message, {}, { cause: error });
}

import { setTimeout as sleep } from 'node:timers/promises';
import { isWeftError, WeftError, type ErrorCode, type Identity } from '@weft/shared';
import type { Federation } from '../home/federation-file.ts';
import { openClient } from '../network/coordinator-client.ts';
import { fromServiceError } from '../network/service-error.ts';
import type { Traffic } from '../network/traffic.ts';
import { openSession, type CoordinatorSays, type NodeSays, type Session } from './session.ts';

/** The session, kept open: what outlives a broken line and a coordinator that restarts. */
export interface Connection {
  /** The open session, or the next one; rejects when there will be none. */
  session(signal: AbortSignal): Promise<Session>;
  /** False where no session is open: the next one starts with `onOpen`. */
  say(message: NodeSays): boolean;
}

export interface ConnectionOptions {
  /** Read anew for each attempt: a renewal changes its certificates. */
  readonly federation: () => Federation;
  readonly identity: Identity;
  readonly agentVersion: string;
  readonly traffic: Traffic;
  readonly backoff?: Backoff;
  readonly onAttempt: (attempt: number) => void;
  /** @param certificate DER of the pin that the coordinator showed */
  readonly onOpen: (session: Session, certificate: Uint8Array) => void;
  readonly onMessage: (message: CoordinatorSays) => void;
  readonly onClosed: (reason: WeftError, retryInMs: number) => void;
  readonly signal: AbortSignal;
}

export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

const defaultBackoff: Backoff = { firstMs: 500, maxMs: 30_000 };
/** An admin who has just pressed the button should not have to wait. */
const pendingRetryMs = 3000;

/** A new attempt would end the same way until somebody does something. */
const final: ReadonlySet<ErrorCode> = new Set([
  'WEFT_NODE_REVOKED',
  'WEFT_NODE_UNKNOWN',
  'WEFT_WRONG_FEDERATION',
  'WEFT_PROTOCOL_VERSION',
  'WEFT_SESSION_REPLACED',
]);

/**
 * Opens sessions one after the other until the signal ends it or the coordinator says that there is no use.
 * @returns the connection, and a promise that rejects with the reason, WEFT_NODE_LEAVING where it was the signal
 */
export function keepConnected(options: ConnectionOptions): { connection: Connection; over: Promise<never> } {
  const { signal } = options;
  let current: Session | undefined;
  let next = Promise.withResolvers<Session>();
  // nobody may be waiting when the end comes
  next.promise.catch(() => {});

  /** One attempt with one pin: OpenSSL tells roots of the same subject apart by name only, so they are tried in turn. */
  const attemptWith = async (federation: Federation, certificate: Uint8Array): Promise<WeftError> => {
    const { identity, agentVersion, onMessage } = options;
    const client = openClient({ address: federation.address, certificate }, options.traffic);
    try {
      const session = await openSession({ client, federation, identity, agentVersion, onMessage });
      const leave = (): void => session.end(leaving());
      signal.addEventListener('abort', leave, { once: true });
      if (signal.aborted) leave();
      current = session;
      next.resolve(session);
      options.onOpen(session, certificate);
      const reason = await session.ended;
      signal.removeEventListener('abort', leave);
      return reason;
    } catch (error) {
      return fromServiceError(error, federation.address);
    } finally {
      client.close();
    }
  };

  const once = async (): Promise<WeftError> => {
    const federation = options.federation();
    let reason = leaving();
    for (const { der } of federation.certificates.toReversed()) {
      reason = await attemptWith(federation, der);
      if (reason.code !== 'WEFT_COORDINATOR_CERTIFICATE') break;
    }
    return reason;
  };

  const run = async (): Promise<never> => {
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      options.onAttempt(attempt);
      const reason = await once();
      if (current !== undefined) {
        current = undefined;
        next = Promise.withResolvers();
        next.promise.catch(() => {});
        attempt = 0;
      }
      if (final.has(reason.code) || signal.aborted) throw reason;
      const retryInMs =
        reason.code === 'WEFT_NODE_PENDING'
          ? jitter(pendingRetryMs)
          : delayMs(attempt, options.backoff ?? defaultBackoff);
      options.onClosed(reason, retryInMs);
      await sleep(retryInMs, undefined, { signal });
    }
  };

  const over = run().catch((error: unknown) => {
    const reason = isWeftError(error)
      ? error
      : signal.aborted
        ? leaving()
        : fromServiceError(error, options.federation().address);
    next.reject(reason);
    throw reason;
  });
  const connection: Connection = {
    session: (waiting) => untilAborted(next.promise, waiting),
    say(message) {
      current?.say(message);
      return current !== undefined;
    },
  };
  return { connection, over };
}

const leaving = (): WeftError => new WeftError('WEFT_NODE_LEAVING', 'this node was stopped');

/** Half to all of it, so that a hundred nodes do not come back in one instant. */
const jitter = (ms: number): number => Math.round(ms * (0.5 + Math.random() / 2));

const delayMs = (attempt: number, { firstMs, maxMs }: Backoff): number =>
  jitter(Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 20)));

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

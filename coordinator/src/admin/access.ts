import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { WeftError } from '@weft/shared';

/** Who asks: the browser of an admin who logged in, or a command on this machine. */
export type AdminAccess = 'page' | 'command';

export interface AccessControl {
  /** @returns the cookie's value */
  openSession(): string;
  endSession(cookie: string): void;
  /** @throws WEFT_ADMIN_UNAUTHENTICATED */
  check(credentials: { authorization: string | undefined; cookie: string | undefined }): AdminAccess;
  /** Called when the session of this cookie is over; at once where it is over already. @returns takes it back */
  onEnd(cookie: string, listener: () => void): () => void;
}

export const sessionCookieName = 'weft_admin';
/** A working day. */
export const sessionLifetimeMs = 12 * 3600 * 1000;
/** One admin with a few browsers; the oldest session goes first. */
const maxSessions = 32;
const sessionIdBytes = 32;

interface AdminSession {
  readonly expiresAt: number;
  readonly listeners: Set<() => void>;
}

/** Sessions live in memory: a restart logs everyone out. Cookies are kept by their hash, as tokens are compared by theirs. */
export function createAccessControl({ adminToken, now }: { adminToken: string; now: () => number }): AccessControl {
  const sessions = new Map<string, AdminSession>();
  const tokenHash = hash(adminToken);

  const end = (key: string): void => {
    const session = sessions.get(key);
    sessions.delete(key);
    for (const listener of session?.listeners ?? []) listener();
  };
  const find = (cookie: string): AdminSession | undefined => {
    const key = hash(cookie).toString('hex');
    const session = sessions.get(key);
    if (session !== undefined && now() >= session.expiresAt) {
      end(key);
      return undefined;
    }
    return session;
  };

  return {
    openSession() {
      const cookie = randomBytes(sessionIdBytes).toString('base64url');
      const [oldest] = sessions.keys();
      if (sessions.size >= maxSessions && oldest !== undefined) end(oldest);
      sessions.set(hash(cookie).toString('hex'), { expiresAt: now() + sessionLifetimeMs, listeners: new Set() });
      return cookie;
    },
    endSession: (cookie) => end(hash(cookie).toString('hex')),
    check({ authorization, cookie }) {
      if (authorization !== undefined) {
        const token = /^Bearer ([0-9a-f]+)$/.exec(authorization)?.[1];
        if (token !== undefined && timingSafeEqual(hash(token), tokenHash)) return 'command';
        throw new WeftError(
          'WEFT_ADMIN_UNAUTHENTICATED',
          'the token of the request is not the one in the home of this coordinator',
        );
      }
      if (cookie !== undefined && find(cookie) !== undefined) return 'page';
      throw new WeftError('WEFT_ADMIN_UNAUTHENTICATED', 'nobody is logged in');
    },
    onEnd(cookie, listener) {
      const session = find(cookie);
      if (session === undefined) listener();
      session?.listeners.add(listener);
      return () => void session?.listeners.delete(listener);
    },
  };
}

const hash = (text: string): Buffer => createHash('sha256').update(text).digest();

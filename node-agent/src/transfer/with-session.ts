import { setTimeout as sleep } from 'node:timers/promises';
import { WeftError, type ErrorCode } from '@weft/shared';
import { fromServiceError } from '../network/service-error.ts';
import type { Connection } from '../session/connection.ts';
import type { Session } from '../session/session.ts';

/** Attempts without one new byte, after which the line is not the problem. */
const maxFruitlessAttempts = 6;
const firstDelayMs = 200;

/** The catalogue says no to a plain repeat of some of these; a transfer goes on from what is there, and may get through. */
const resumable: ReadonlySet<ErrorCode> = new Set([
  'WEFT_NODE_LEAVING',
  'WEFT_COORDINATOR_UNREACHABLE',
  'WEFT_TICKET_INVALID',
  'WEFT_COORDINATOR_STOPPING',
  'WEFT_INTERNAL',
]);

/**
 * Runs one attempt at a transfer in the open session, and again in the next where the line broke. Waiting for a session
 * may take as long as the coordinator is away; the signal ends it.
 * @param attempt says how many bytes are there each time it learns of more
 */
export async function withSession<T>(
  connection: Connection,
  signal: AbortSignal,
  attempt: (session: Session, gained: () => void) => Promise<T>,
): Promise<T> {
  let fruitless = 0;
  for (;;) {
    const session = await connection.session(signal);
    try {
      return await attempt(session, () => (fruitless = 0));
    } catch (error) {
      signal.throwIfAborted();
      const reason = fromServiceError(error, 'the coordinator');
      if (!resumable.has(reason.code) && !reason.retryable) throw reason;
      if (++fruitless >= maxFruitlessAttempts) {
        throw new WeftError(
          reason.code,
          `gave up after ${fruitless} attempts without a new byte: ${reason.message}`,
          { attempts: fruitless },
          { cause: reason },
        );
      }
      await sleep(firstDelayMs * 2 ** fruitless, undefined, { signal });
    }
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { isWeftError, type WeftError } from '@weft/shared';
import { hubLimits } from './limits.ts';

export type Wait = (ms: number, signal: AbortSignal | undefined) => Promise<void>;

const waitFor: Wait = async (ms, signal) => {
  await sleep(ms, undefined, signal === undefined ? {} : { signal });
};

export interface RetryOptions {
  readonly signal?: AbortSignal | undefined;
  /** Between tries; a test need not wait. */
  readonly wait?: Wait | undefined;
  /** Told before each wait. */
  readonly onRetry?: ((failure: WeftError, waitMs: number) => void) | undefined;
}

const firstWaitMs = 500;
const longestOwnWaitMs = 30_000;

/** Doubles, with jitter so that a thousand clients do not come back at once; what the server asks for goes first. */
export const backOffMs = (failures: number, askedMs: number | undefined, random: () => number): number =>
  askedMs ?? Math.min(longestOwnWaitMs, firstWaitMs * 2 ** (failures - 1)) * (0.5 + random() / 2);

/**
 * Tries again what the catalogue calls worth it (unreachable, busy), after a wait; a server that asks for a longer one
 * than the limit has said no.
 * @param attempt calls `progressed` when bytes came, and the count of failures begins anew
 */
export async function withRetries<T>(
  attempt: (progressed: () => void) => Promise<T>,
  { wait = waitFor, signal, onRetry }: RetryOptions,
): Promise<T> {
  let failures = 0;
  for (;;) {
    try {
      return await attempt(() => {
        failures = 0;
      });
    } catch (error) {
      signal?.throwIfAborted();
      if (!isWeftError(error, 'WEFT_HUB_UNREACHABLE') && !isWeftError(error, 'WEFT_HUB_BUSY')) throw error;
      const asked = error.details['retryAfterMs'];
      const askedMs = typeof asked === 'number' ? asked : undefined;
      failures += 1;
      if (failures >= hubLimits.attempts || (askedMs ?? 0) > hubLimits.waitMs) throw error;
      const waitMs = backOffMs(failures, askedMs, Math.random);
      onRetry?.(error, waitMs);
      await wait(waitMs, signal);
    }
  }
}

/**
 * Durations that pass only while a session is open: what a coordinator did not say in time, it must have been able to say.
 * Measured on a monotonic clock, so a wall clock that is set does nothing to them.
 */
export interface ConnectedTimers {
  /** Calls `due` once, when so much connected time has passed; a second call for the same key changes nothing. */
  start(key: string, ms: number, due: () => void): void;
  cancel(key: string): void;
  connected(): void;
  disconnected(): void;
}

interface Running {
  /** Of connected time. */
  leftMs: number;
  readonly due: () => void;
  timer?: NodeJS.Timeout | undefined;
  armedAt: number;
}

const longestTimerMs = 2 ** 31 - 1;

export function createConnectedTimers(now: () => number): ConnectedTimers {
  const running = new Map<string, Running>();
  let since: number | undefined;

  const arm = (key: string, entry: Running): void => {
    entry.armedAt = now();
    const timer = setTimeout(
      () => {
        entry.leftMs -= now() - entry.armedAt;
        if (entry.leftMs > 0) return arm(key, entry);
        running.delete(key);
        entry.due();
      },
      Math.min(longestTimerMs, Math.max(1, Math.ceil(entry.leftMs))),
    );
    timer.unref();
    entry.timer = timer;
  };

  return {
    start(key, ms, due) {
      if (running.has(key)) return;
      const entry: Running = { leftMs: ms, due, armedAt: 0 };
      running.set(key, entry);
      if (since !== undefined) arm(key, entry);
    },
    cancel(key) {
      clearTimeout(running.get(key)?.timer);
      running.delete(key);
    },
    connected() {
      since ??= now();
      for (const [key, entry] of running) if (entry.timer === undefined) arm(key, entry);
    },
    disconnected() {
      if (since === undefined) return;
      for (const entry of running.values()) {
        if (entry.timer === undefined) continue;
        clearTimeout(entry.timer);
        entry.timer = undefined;
        entry.leftMs -= now() - entry.armedAt;
      }
      since = undefined;
    },
  };
}

/** Time as the runs see it. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Rings once, not before that moment. @returns takes it back */
  alarm(at: number, ring: () => void): () => void;
}

/** setTimeout's longest delay, some 24 days. */
const longestDelayMs = 2 ** 31 - 1;

// Of the clock that people set only the hour at which the process began is taken: a deadline must neither come at once
// nor be a day away because somebody set it in the middle of a round.
const beganAt = Date.now() - performance.now();

export const systemClock: Clock = {
  now: () => Math.floor(beganAt + performance.now()),
  alarm(at, ring) {
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const delay = at - systemClock.now();
      timer = setTimeout(() => (at > systemClock.now() ? arm() : ring()), Math.max(0, Math.min(delay, longestDelayMs)));
    };
    arm();
    return () => clearTimeout(timer);
  },
};

/** A clock that stands until it is moved: for tests and simulations. */
export interface ManualClock extends Clock {
  /** Rings what is due on the way, in order. */
  advance(ms: number): void;
}

export function createManualClock(start = 1_000_000): ManualClock {
  let now = start;
  const alarms = new Set<{ at: number; ring: () => void }>();
  return {
    now: () => now,
    alarm(at, ring) {
      const alarm = { at, ring };
      alarms.add(alarm);
      return () => void alarms.delete(alarm);
    },
    advance(ms) {
      const until = now + ms;
      for (;;) {
        const [next] = [...alarms].filter(({ at }) => at <= until).toSorted((x, y) => x.at - y.at);
        if (next === undefined) break;
        alarms.delete(next);
        now = Math.max(now, next.at);
        next.ring();
      }
      now = until;
    },
  };
}

import { describe, expect, test } from 'vitest';
import { createManualClock, systemClock, type Clock } from './clock.ts';

interface Subject {
  readonly clock: Clock;
  /** Lets so much time pass. */
  readonly pass: (ms: number) => Promise<void>;
}

const implementations: Record<string, () => Subject> = {
  system: () => ({ clock: systemClock, pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) }),
  manual: () => {
    const clock = createManualClock();
    return { clock, pass: async (ms) => clock.advance(ms) };
  },
};

describe.each(Object.keys(implementations))('%s clock', (name) => {
  test('rings once, in order, not before the moment, and not when it was taken back', async () => {
    const { clock, pass } = implementations[name]!();
    const start = clock.now();
    const rung: [string, boolean][] = [];
    const alarm = (at: number, label: string) =>
      clock.alarm(start + at, () => rung.push([label, clock.now() >= start + at]));
    alarm(30, 'later');
    alarm(10, 'sooner');
    alarm(-5, 'past');
    const takeBack = alarm(20, 'never');
    // Longer than setTimeout can wait: it must not ring at once.
    const takeBackFar = alarm(2 ** 40, 'far');
    takeBack();
    await pass(60);
    takeBackFar();
    expect(rung).toEqual([
      ['past', true],
      ['sooner', true],
      ['later', true],
    ]);
  });
});

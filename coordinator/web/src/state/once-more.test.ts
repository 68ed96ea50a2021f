import { describe, expect, it } from 'vitest';
import { onceMore } from './once-more.ts';

const now = async (): Promise<void> => {};

describe('onceMore', () => {
  it('answers many questions with one load', async () => {
    let loads = 0;
    const ask = onceMore(async () => {
      loads += 1;
    }, now);
    await Promise.all([ask(), ask(), ask()]);
    expect(loads).toBe(1);
  });

  it('loads again for a question that came while it loaded', async () => {
    const started = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    let loads = 0;
    const ask = onceMore(async () => {
      loads += 1;
      started.resolve();
      if (loads === 1) await release.promise;
    }, now);
    const first = ask();
    await started.promise;
    const second = ask();
    release.resolve();
    await Promise.all([first, second]);
    expect(loads).toBe(2);
  });

  it('loads again after a failure, which it passes on', async () => {
    let loads = 0;
    const ask = onceMore(async () => {
      loads += 1;
      if (loads === 1) throw new Error('gone');
    }, now);
    await expect(ask()).rejects.toThrow('gone');
    await ask();
    expect(loads).toBe(2);
  });
});

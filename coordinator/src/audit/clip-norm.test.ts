import { log, privacy } from '@weft/shared';
import { expect, test } from 'vitest';
import { requireClipNorm, requireNextClipNorm } from './clip-norm.ts';
import { Refuted } from './evidence.ts';

const logged = (norm: number) => ({ entry: 7, leaf: { nextClipNorm: norm === 0 ? 0n : log.floatBits(norm) } });

test('a norm that is logged is the one that follows, to what another machine’s exponential may differ by', () => {
  const due = privacy.nextClipNorm(1.7, 0.36);
  expect(requireNextClipNorm(logged(due), 1.7, 0.36)).toBe(due);
  expect(requireNextClipNorm(logged(due * (1 + 2 ** -51)), 1.7, 0.36)).not.toBe(due);
  expect(requireNextClipNorm(logged(0), 1.7, undefined)).toBe(0);
});

test.each([
  ['another one', privacy.nextClipNorm(1.7, 0.36) * (1 + 1e-11), 0.36],
  ['none', 0, 0.36],
  ['no number', Number.NaN, 0.36],
  ['one where the run adapts none', 1.7, undefined],
])('a result that names %s is the coordinator’s fault', (_, norm, withinShare) => {
  const fault = { verdict: 'fails', entry: 7, party: 'the coordinator' };
  expect(() => requireNextClipNorm(logged(norm), 1.7, withinShare)).toThrow(
    expect.objectContaining({ finding: expect.objectContaining(fault) as unknown }),
  );
});

test('an offer of another norm than the log names is refuted, however little it differs', () => {
  expect(() => requireClipNorm(1.7, 1.7, { entry: 3 })).not.toThrow();
  expect(() => requireClipNorm(1.7 * (1 + 2 ** -52), 1.7, { entry: 3 })).toThrow(Refuted);
});

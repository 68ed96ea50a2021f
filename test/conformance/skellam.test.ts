import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { privacy } from '@weft/shared';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { findPython, skips } from './python.ts';

const python = findPython(['mpmath']);
const script = fileURLToPath(new URL('skellam.py', import.meta.url));

describe.skipIf(skips('conformance', { 'Python with mpmath': python }))('the table of the noise', () => {
  it("has the masses of mpmath's Bessel functions, from one deviation of noise to the largest", () => {
    const cases = [1, 50, 4096, 2 ** 20, 2 ** 26].flatMap((variance) =>
      [0, 0.5, 1, 3, 8].map((deviations) => ({ variance, k: Math.ceil(deviations * Math.sqrt(variance)) })),
    );
    const run = spawnSync(python ?? '', [script], { encoding: 'utf8', input: JSON.stringify(cases) });
    if (run.status !== 0) throw new Error(run.stderr.slice(-4000));
    const masses = z.array(z.string()).parse(JSON.parse(run.stdout));
    const tables = new Map(cases.map(({ variance }) => [variance, privacy.skellamTable(variance)]));
    cases.forEach(({ variance, k }, i) => {
      const { cumulative } = tables.get(variance)!;
      const upTo = (at: number): bigint =>
        at < 0 ? 0n : cumulative.reduce((value, words) => (value << 32n) | BigInt(words[at]!), 0n);
      const difference = upTo(k) - upTo(k - 1) - BigInt(masses[i]!);
      // 2⁻⁹⁹: what the cut and the last place of the table may differ by.
      expect(difference < 0n ? -difference : difference, `variance ${variance}, k ${k}`).toBeLessThan(1n << 29n);
    });
  });
});

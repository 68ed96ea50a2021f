import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { aggregateByRule } from '@weft/coordinator/aggregation-rules';
import { aggregationRules, createSeededRandom, leastUpdates } from '@weft/shared';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { findPython, skips } from './python.ts';

const python = findPython(['numpy']);
const script = fileURLToPath(new URL('aggregation_rules.py', import.meta.url));
const values = 50;

/** Honest updates that share a direction, and one hostile that is boosted. */
const drawUpdates = (seed: string, nodes: number, boost: number): number[][] => {
  const random = createSeededRandom(seed);
  const shared = Array.from({ length: values }, () => random.uniform() - 0.5);
  return Array.from({ length: nodes }, (_, i) =>
    shared.map((value) => (value + random.uniform() - 0.5) * (i === 2 ? boost : 1)),
  );
};

const cases = aggregationRules.flatMap((rule) =>
  [0, 1, 2].flatMap((byzantine) =>
    [1, -30, 1000].flatMap((boost) =>
      [0, 5].map((more) => {
        const nodes = Math.max(5, leastUpdates(rule, byzantine)) + more;
        const updates = drawUpdates(`${rule} ${byzantine} ${boost}`, nodes, boost);
        return { rule, byzantine, trimShare: 0.15 * byzantine, radius: 1 + byzantine, iterations: 20, updates };
      }),
    ),
  ),
);

describe.skipIf(skips('conformance', { 'Python with numpy': python }))('the rules of aggregation', () => {
  it('give what NumPy makes of whole vectors, though they see ranges and distances', () => {
    const run = spawnSync(python ?? '', [script], { encoding: 'utf8', input: JSON.stringify(cases) });
    if (run.status !== 0) throw new Error(run.stderr.slice(-4000));
    const expected = z.array(z.array(z.number())).parse(JSON.parse(run.stdout));
    for (const [at, { rule, updates, ...robust }] of cases.entries()) {
      const aggregate = aggregateByRule(
        { rule, robust },
        updates.map((update) => Float64Array.from(update)),
        17,
      );
      const what = `${rule}, f = ${robust.byzantine}, ${updates.length} nodes`;
      expect(aggregate, what).toHaveLength(values);
      aggregate.forEach((value, k) => expect(Math.abs(value - expected[at]![k]!), what).toBeLessThan(1e-7));
    }
  });
});

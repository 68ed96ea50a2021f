import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

it('the logits of a wide vocabulary never stand in memory all at once', () => {
  const probe = fileURLToPath(new URL('memory-probe.ts', import.meta.url));
  const grownMB = Number(execFileSync(process.execPath, [probe], { encoding: 'utf8' }));
  // 2,048 rows of 65,536 logits are 512 MB, and a step needs them three times: logits, probabilities, gradient.
  expect(grownMB).toBeGreaterThan(0);
  expect(grownMB).toBeLessThan(400);
});

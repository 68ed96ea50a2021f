import { readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { runProgram } from '../run-weft.ts';
import { fencedBlocks } from './fenced-blocks.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
/** Whatever a line of the tour may have left running goes with the shell that started it. */
const opening = "set -euo pipefail\ntrap 'jobs -p | xargs -r kill 2>/dev/null' EXIT\n";

describe("the README's tour", () => {
  it('runs as it stands, to the last line', async () => {
    const blocks = fencedBlocks(readme, 'Tour', 'sh');
    expect(blocks.length).toBeGreaterThanOrEqual(5);
    const script = `${opening}${blocks.join('\n')}\necho the tour has ended\n`;
    const { status, stdout, stderr } = await runProgram('bash', ['-c', script], { cwd: root, env: process.env });
    expect(status, `${stdout}\n${stderr}`).toBe(0);
    expect(stdout).toContain('the tour has ended');
    const losses = [...stdout.matchAll(/^loss +([\d.]+) nats/gm)].map((match) => Number(match[1]));
    expect(losses).toHaveLength(3);
    // the second is the first with the adapter that the tour has trained
    expect(losses[1]).toBeLessThan(losses[0] ?? 0);
  }, 300_000);

  it('is not the only place that says who can read a delta', () => {
    expect(readme.replaceAll(/[\s>]+/g, ' ')).toContain("the coordinator can read each node's delta");
  });
});

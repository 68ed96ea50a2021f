import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const entry = fileURLToPath(new URL('../bin/weft.mjs', import.meta.url));
const weft = (line: string) =>
  spawnSync(process.execPath, [entry, 'privacy', ...line.split(' ')], { encoding: 'utf8', timeout: 30_000 });

describe('weft privacy', () => {
  it('prints ε and the order as JSON, and for a reader', () => {
    const line = 'epsilon --q 0.01 --sigma 1.1 --steps 1000 --delta 1e-5';
    const spent: unknown = JSON.parse(weft(`${line} --json`).stdout);
    expect(spent).toEqual({ epsilon: expect.closeTo(1.725290818, 9) as number, order: 9 });
    expect(weft(line).stdout).toBe('ε = 1.7252908180 at δ = 0.00001 (Rényi order 9)\n');
  });

  it('takes z, scale, dimension and clip norm for Skellam noise', () => {
    const line = 'epsilon --sigma 5 --steps 100 --delta 1e-5 --mechanism skellam';
    const { stdout } = weft(`${line} --scale 65536 --dim 1048576 --clip 1 --json`);
    expect(JSON.parse(stdout)).toEqual({ epsilon: expect.closeTo(10.8016914801, 9) as number, order: 3 });
    expect(weft(line)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('needs --scale, --dim and --clip') as string,
    });
    expect(weft(`${line} --q 0.5 --scale 1 --dim 1 --clip 1`)).toMatchObject({ status: 2 });
  });

  it('says in a plan when the noise drowns the update', () => {
    const { stdout } = weft('plan --nodes 10 --rounds 30 --dim 460800 --budget 8');
    expect(stdout).toContain('expect the model to learn nothing');
  });
});

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { nodeComplaint } from '../bin/node-version.mjs';
import { commands } from './commands/index.ts';
import { buildProgram } from './program.ts';

const entry = fileURLToPath(new URL('../bin/weft.mjs', import.meta.url));
const weft = (...argv: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [entry, ...argv], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { status, stdout, stderr };
};

describe('weft', () => {
  it('keeps its compiled code in the cache, and does without where it cannot', () => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-code-'));
    try {
      const { NODE_COMPILE_CACHE: _, ...env } = process.env;
      const help = (cache: string) =>
        spawnSync(process.execPath, [entry, '--version'], { encoding: 'utf8', env: { ...env, WEFT_CACHE: cache } });
      const kept = help(join(folder, 'cache'));
      expect(kept.stdout).toMatch(/^\d/);
      expect(readdirSync(join(folder, 'cache', 'code'), { recursive: true }).length).toBeGreaterThan(10);
      writeFileSync(join(folder, 'file'), '');
      expect(help(join(folder, 'file', 'cache'))).toMatchObject({ status: 0, stdout: kept.stdout, stderr: '' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('opens its help with two examples, on standard output', () => {
    const { status, stdout, stderr } = weft('--help');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Examples:\n {2}weft .*\n {2}weft .*\n\nUsage: weft/);
    expect(stderr).toBe('');
  });

  it.each([
    ...new Set(commands.flatMap(({ words }) => words.slice(0, -1).map((_, i) => words.slice(0, i + 1).join(' ')))),
  ])('opens the help of "%s" with two examples, too', async (noun) => {
    let text = '';
    const argv = [...noun.split(' '), '--help'];
    const program = await buildProgram(commands, argv);
    const found = noun
      .split(' ')
      .reduce((parent, word) => parent.commands.find((one) => one.name() === word)!, program);
    found.configureOutput({ writeOut: (piece) => (text += piece) }).outputHelp();
    expect(text).toMatch(/^Examples:\n {2}weft .*\n {2}weft /);
  });

  it('answers a bare noun with its help', () => {
    const { status, stdout } = weft('model');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Examples:\n {2}weft model .*\n {2}weft model .*\n\nUsage: weft model/);
  });

  it('suggests the flag that was meant, in two lines on standard error', () => {
    const { status, stdout, stderr } = weft('train', '--model', 'm', '--data', 'd', '--out', 'o', '--stesp', '3');
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toBe("unknown option '--stesp' (did you mean --steps?) [WEFT_USAGE]\nsee `weft train --help`\n");
  });

  it('calls nobody a liar where there is no log', () => {
    expect(weft('log', 'verify', 'nowhere')).toMatchObject({ status: 3, stdout: '' });
    const nobody = weft('log', 'verify', 'http://127.0.0.1:1');
    expect(nobody).toMatchObject({ status: 5, stdout: '' });
    expect(nobody.stderr).toContain('[WEFT_LOG_UNREACHABLE]');
  });

  it('suggests the command that was meant', () => {
    expect(weft('trian').stderr).toContain("unknown command 'trian' (did you mean train?)");
  });

  it('prints an error as JSON where JSON was asked for', () => {
    const { status, stdout, stderr } = weft('train', '--json', '--rank', 'eight');
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'WEFT_USAGE', todo: 'see `weft train --help`' } });
  });

  it('names the limits of a number that is out of them', () => {
    expect(weft('train', '--rank', '0').stderr).toContain('whole number from 1 to 1024');
  });

  it('refuses steps and epochs together', () => {
    const { status, stderr } = weft(
      'train',
      '--model',
      'm',
      '--data',
      'd',
      '--out',
      'o',
      '--steps',
      '3',
      '--epochs',
      '1',
    );
    expect(status).toBe(2);
    expect(stderr).toContain('cannot be used with');
  });
});

describe('the Node version', () => {
  it('passes from 24 on', () => {
    expect(nodeComplaint('24.0.0')).toBeUndefined();
    expect(nodeComplaint('26.1.0')).toBeUndefined();
  });

  it('is a sentence with what to do below', () => {
    for (const version of ['18.20.8', '20.20.2', '22.23.0']) {
      const [what, todo] = (nodeComplaint(version) ?? '').split('\n');
      expect(what).toContain(`this is Node ${version}`);
      expect(todo).toContain('npx -y pnpm@12.21.0 -s weft');
    }
  });
});

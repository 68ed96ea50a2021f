import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPackage } from '../../deploy/npm/build.ts';
import { runProgram } from '../run-weft.ts';

const timeoutMs = 300_000;
/** The machine's npm under this repository's Node; its install script would download CUDA binaries. */
const env = {
  ...process.env,
  PATH: `${dirname(process.execPath)}:${process.env['PATH']}`,
  ONNXRUNTIME_NODE_INSTALL: 'skip',
};

const run = async (cwd: string, program: string, ...args: string[]) => {
  const finished = await runProgram(program, args, { cwd, env });
  if (finished.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${finished.status}\n${finished.stderr}`);
  return finished;
};

describe('the npm package', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-pack-'));
  const home = join(folder, 'empty');
  const weft = join(home, 'node_modules/.bin/weft');

  beforeAll(async () => {
    await buildPackage(join(folder, 'package'));
    await run(folder, 'npm', 'pack', '--silent', './package');
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '';
    mkdirSync(home);
    writeFileSync(join(home, 'package.json'), '{ "private": true }\n');
    await run(home, 'npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', join(folder, tarball));
  }, timeoutMs);
  afterAll(() => rmSync(folder, { recursive: true }));

  it('runs weft --help', async () => {
    const { stdout, stderr } = await run(home, weft, '--help');
    expect(stdout).toContain('Usage: weft');
    expect(stderr).toBe('');
  });

  it(
    'trains a step on the model that it carries',
    async () => {
      writeFileSync(join(home, 'notes.txt'), 'The loom holds the warp, and the weft goes over and under. '.repeat(40));
      const models = join(home, 'node_modules/weft/dist/models');
      const model = readdirSync(models, { withFileTypes: true }).find((entry) => entry.isDirectory())?.name ?? '';
      const flags = ['--data', 'notes.txt', '--out', 'adapter', '--steps', '1', '--json', '--threads', '1'];
      const { stdout } = await run(home, weft, 'train', '--model', join(models, model), ...flags);
      expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ step: 1 });
      expect(readdirSync(join(home, 'adapter')).toSorted()).toEqual([
        'adapter_config.json',
        'adapter_model.safetensors',
        'training.json',
      ]);
      expect(JSON.parse(readFileSync(join(home, 'adapter/adapter_config.json'), 'utf8'))).toMatchObject({
        peft_type: 'LORA',
      });
    },
    timeoutMs,
  );

  it('carries the finished page, and no test', () => {
    const files = readdirSync(join(home, 'node_modules/weft/dist'), { recursive: true, encoding: 'utf8' });
    expect(files).toContain('coordinator/web/page/index.html');
    expect(files.filter((file) => /\.test\.|\.ts$|\.tsx$/.test(file))).toEqual([]);
  });
});

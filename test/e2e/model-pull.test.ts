import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { hashModel } from '@weft/trainer';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type HubServer, startHub } from '../hub-server.ts';
import { type Finished, runWeft } from '../run-weft.ts';

const bundled = fileURLToPath(new URL('../../models/weft-tiny-llama', import.meta.url));
const entry = fileURLToPath(new URL('../../cli/bin/weft.mjs', import.meta.url));

// each command is a process that starts Node and the runtime; a busy machine takes its time
vi.setConfig({ testTimeout: 180_000 });

let hub: HubServer;
let folder: string;
beforeAll(async () => {
  const names = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
  const files = await Promise.all(names.map(async (name) => [name, await readFile(join(bundled, name))] as const));
  hub = await startHub({ 'weft/tiny': { revisions: { main: { ...Object.fromEntries(files), 'README.md': 'card' } } } });
});
afterAll(() => hub[Symbol.asyncDispose]());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-model-pull-'));
  hub.fault = () => undefined;
  hub.requests.length = 0;
});
afterEach(() => rm(folder, { recursive: true }));

const environment = (): NodeJS.ProcessEnv => {
  const { HF_TOKEN: _token, ...rest } = process.env;
  return { ...rest, HF_ENDPOINT: hub.endpoint, HF_HOME: join(folder, 'hf'), WEFT_CACHE: join(folder, 'cache') };
};
const weft = (...args: string[]): Promise<Finished> => runWeft(args, { env: environment() });

test('a model is pulled, listed and shown, and trains to the same bits as the folder it came from', async () => {
  const before = await weft('eval', '--model', 'hf:weft/tiny', '--data', 'none.txt');
  expect(before).toMatchObject({ status: 3, stdout: '' });
  expect(before.stderr).toContain('hf:weft/tiny is not in the cache: `weft model pull hf:weft/tiny` fetches it');

  const pulled = await weft('model', 'pull', 'hf:weft/tiny');
  const sha256 = await hashModel(bundled);
  const commit = hub.commitOf('weft/tiny');
  expect(pulled.status).toBe(0);
  expect(pulled.stderr).toContain(`hf:weft/tiny is commit ${commit}\n`);
  expect(pulled.stderr).toMatch(/^pull 7\.9\/7\.9 MB {2}model\.safetensors$/m);
  expect(pulled.stdout).toContain(`\nbaseModel:\n  name: weft/tiny\n  sha256: ${sha256}\n`);

  const listed = JSON.parse((await weft('model', 'list', '--json')).stdout) as object[];
  expect(listed).toEqual([expect.objectContaining({ repository: 'weft/tiny', commit, revisions: ['main'], sha256 })]);
  expect((await weft('model', 'list')).stdout).toContain(`hf:weft/tiny  main      ${commit.slice(0, 12)}`);
  expect(JSON.parse((await weft('model', 'show', 'hf:weft/tiny', '--json')).stdout)).toMatchObject({
    name: 'weft/tiny',
    sha256,
    commit,
  });

  const data = join(folder, 'data.txt');
  await writeFile(data, 'The river carries the thread of the loom from the hill to the sea. '.repeat(20));
  const step = async (model: string, out: string): Promise<{ loss: number; adapter: Buffer; config: string }> => {
    const args = ['--data', data, '--out', join(folder, out), '--steps', '1', '--threads', '1', '--device', 'cpu'];
    const trained = await weft('train', '--model', model, ...args, '--json');
    expect(trained.status === 0 ? '' : trained.stderr).toBe('');
    return {
      loss: (JSON.parse(trained.stdout) as { loss: number }).loss,
      adapter: await readFile(join(folder, out, 'adapter_model.safetensors')),
      config: await readFile(join(folder, out, 'adapter_config.json'), 'utf8'),
    };
  };
  const fromHub = await step(`hf:weft/tiny@${commit.slice(0, 10)}`, 'from-hub');
  const fromFolder = await step(bundled, 'from-folder');
  expect(fromHub.loss).toBe(fromFolder.loss);
  expect(fromHub.adapter.equals(fromFolder.adapter)).toBe(true);
  // PEFT finds the base by this name
  expect(JSON.parse(fromHub.config)).toMatchObject({ base_model_name_or_path: 'weft/tiny' });
});

test('a pull that was killed goes on where it stopped', async () => {
  const stalled = Promise.withResolvers<void>();
  hub.fault = ({ place }) => (place === 'cdn' ? { stallAfterBytes: 4_000_000 } : undefined);
  const child = spawn(process.execPath, [entry, 'model', 'pull', 'hf:weft/tiny'], {
    env: environment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // a line at each tenth: half of it has come
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (/^pull (?:3\.[5-9]|4)/m.test(text)) stalled.resolve();
  });
  const closed = once(child, 'close');
  await stalled.promise;
  child.kill('SIGKILL');
  await closed;
  hub.fault = () => undefined;
  hub.requests.length = 0;

  const { stdout } = await weft('model', 'pull', 'hf:weft/tiny', '--json');
  const { fetchedBytes, sizeBytes, sha256 } = JSON.parse(stdout) as Record<string, number | string>;
  expect(sha256).toBe(await hashModel(bundled));
  const [range] = hub.requests.filter(({ place }) => place === 'cdn').map((request) => request.range);
  const from = Number(/^bytes=(?<from>\d+)-$/.exec(range ?? '')?.[1]);
  expect(from).toBeGreaterThan(3_000_000);
  expect(fetchedBytes).toBe(Number(sizeBytes) - from);
  expect(await readdir(join(folder, 'cache/hub/incoming'))).toEqual([]);
});

test('several processes pull the same model at the same time', async () => {
  const pulls = await Promise.all([1, 2, 3].map(() => weft('model', 'pull', 'hf:weft/tiny', '--json')));
  expect(pulls.map(({ stderr }) => stderr)).toEqual(['', '', '']);
  expect(new Set(pulls.map(({ stdout }) => (JSON.parse(stdout) as { path: string }).path)).size).toBe(1);
  expect(await readdir(join(folder, 'cache/hub/incoming'))).toEqual([]);
  expect((await weft('model', 'show', 'hf:weft/tiny')).status).toBe(0);
});

test('a refusal says what to do, with the exit code of its kind', async () => {
  const refused = await weft('model', 'pull', 'hf:weft/none');
  expect(refused).toMatchObject({ status: 3, stdout: '' });
  expect(refused.stderr).toContain('[WEFT_HUB_MODEL_UNKNOWN]');
  expect(refused.stderr).toContain('HF_TOKEN');
  expect(await weft('model', 'pull', 'weft/tiny')).toMatchObject({ status: 2, stdout: '' });
  expect(await weft('model', 'pull', 'hf:weft/tiny', '--token', 'hf_x')).toMatchObject({ status: 2 });
});

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseReference, pullModel } from '@weft/trainer';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startHub } from '../../test/hub-server.ts';
import { bundledModelFolder } from './demo/bundled-model.ts';
import { pathOfModel } from './model-options.ts';

let cacheDir: string;
beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'weft-model-options-'));
});
afterEach(() => rm(cacheDir, { recursive: true }));

test('another process gets the absolute path of a model, pulled or not', async () => {
  const names = ['config.json', 'tokenizer.json'];
  const read = names.map(async (name) => [name, await readFile(join(bundledModelFolder, name))] as const);
  const files = { ...Object.fromEntries(await Promise.all(read)), 'model.safetensors': 'weights' };
  await using hub = await startHub({ 'weft/tiny': { revisions: { main: files } } });
  const access = { endpoint: hub.endpoint, token: undefined };
  const { path } = await pullModel(parseReference('hf:weft/tiny'), { access, cacheDir });
  expect(await pathOfModel('hf:weft/tiny', cacheDir)).toBe(path);
  expect(await pathOfModel('models/tiny', cacheDir)).toBe(resolve('models/tiny'));
  await expect(pathOfModel('hf:weft/other', cacheDir)).rejects.toThrow('is not in the cache');
});

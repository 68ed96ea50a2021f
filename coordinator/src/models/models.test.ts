import { cp, mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isWeftError, type Sha256 } from '@weft/shared';
import { hashModel } from '@weft/trainer';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openStore, type Store } from '../store/store.ts';
import { createModels } from './models.ts';

const bundled = fileURLToPath(new URL('../../../models/weft-tiny-llama', import.meta.url));
const code = (error: unknown): string => (isWeftError(error) ? error.code : String(error));

let home: string;
let store: Store;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-models-'));
  store = openStore(home);
});
afterEach(async () => {
  store.close();
  await rm(home, { recursive: true });
});

test('a registered model is known by its hash, with its files and dimensions, also after a restart', async () => {
  const registered = await createModels({ store }).register(bundled);
  expect(registered.sha256).toBe(await hashModel(bundled));
  expect(registered.files.map(({ name }) => name)).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
  expect(registered.dimensions.layers).toBeGreaterThan(0);
  const models = createModels({ store });
  expect(models.list()).toEqual([registered]);
  expect(models.get(registered.sha256)).toEqual(registered);
  await models.register(bundled);
  expect(store.read({ kinds: ['model.registered'] })).toHaveLength(1);
  const [config] = registered.files;
  expect(await models.file(registered.sha256, config!.sha256)).toEqual({
    path: config!.file,
    sizeBytes: config!.sizeBytes,
  });
  expect(await models.file(registered.sha256, 'a'.repeat(64) as Sha256)).toBeUndefined();
});

test('a model that is unknown, or whose files changed since, is named as such; registering it elsewhere heals it', async () => {
  const copy = join(home, 'copy');
  await cp(bundled, copy, { recursive: true });
  const models = createModels({ store });
  const { sha256, files } = await models.register(copy);
  expect(() => models.get('b'.repeat(64) as Sha256)).toThrow(/is registered here/);
  const weights = files.find(({ name }) => name === 'model.safetensors')!;
  await truncate(weights.file, 1000);
  expect(await models.file(sha256, weights.sha256).catch(code)).toBe('WEFT_MODEL_NOT_REGISTERED');
  expect(await models.register(copy).catch(code)).toMatch(/^WEFT_MODEL_/);
  await models.register(bundled);
  expect((await models.file(sha256, weights.sha256))?.path).toContain('weft-tiny-llama');
});

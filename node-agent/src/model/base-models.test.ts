import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createIdentity, sha256, type Sha256 } from '@weft/shared';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectNode, federationOf } from '../../test/connected-node.ts';
import { startScriptedCoordinator } from '../../test/scripted-coordinator.ts';
import { writeSmallModel } from '../../test/small-model.ts';
import { createBaseModels } from './base-models.ts';

const node = createIdentity().identity;
let folder: string;
const closers: (() => void)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-models-'));
});
afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await rm(folder, { recursive: true, force: true });
});

const makeModel = (name: string, seed: number) => writeSmallModel(join(folder, name), seed);
type TestModel = Awaited<ReturnType<typeof makeModel>>;

const connect = async (...models: TestModel[]) => {
  const coordinator = await startScriptedCoordinator({
    session: (session) => session.shakeHands(),
    blobs: new Map(models.flatMap(({ blobs }) => blobs)),
  });
  const { connection, signal, leave } = connectNode(federationOf(coordinator, node), node);
  closers.push(leave, () => coordinator.close());
  const downloads = (): number => coordinator.calls.filter((call) => call === 'download').length;
  return { download: { connection, signal }, downloads };
};

const cacheFolder = (): string => join(folder, 'cache');

test('an offered model is fetched once, and the next process finds it', async () => {
  const model = await makeModel('offered', 1);
  const { download, downloads } = await connect(model);
  for (let process = 0; process < 2; process++) {
    const models = createBaseModels({ cacheFolder: cacheFolder() });
    expect((await models.open({ ...model, download })).sha256).toBe(model.sha256);
    expect(downloads()).toBe(3);
  }
});

test("the operator's own model is taken when it is the offered one, and not when it is another", async () => {
  const [model, other] = [await makeModel('offered', 1), await makeModel('other', 2)];
  const { download, downloads } = await connect(model);
  await createBaseModels({ cacheFolder: cacheFolder(), localPath: model.path }).open({ ...model, download });
  expect(downloads()).toBe(0);
  const opened = await createBaseModels({ cacheFolder: cacheFolder(), localPath: other.path }).open({
    ...model,
    download,
  });
  expect(opened.sha256).toBe(model.sha256);
  expect(downloads()).toBe(3);
});

test('files that make another model than the offered one are refused and never used', async () => {
  const [model, other] = [await makeModel('offered', 1), await makeModel('other', 2)];
  const { download } = await connect(other);
  const models = createBaseModels({ cacheFolder: cacheFolder() });
  await expect(models.open({ sha256: model.sha256, files: other.files, download })).rejects.toMatchObject({
    code: 'WEFT_NODE_MODEL_UNAVAILABLE',
  });
  expect(await readdir(join(cacheFolder(), 'models'))).not.toContain(model.sha256);
});

test('a model in the cache that was changed there is fetched again', async () => {
  const model = await makeModel('offered', 1);
  const { download, downloads } = await connect(model);
  await createBaseModels({ cacheFolder: cacheFolder() }).open({ ...model, download });
  const changed = join(cacheFolder(), 'models', model.sha256, 'config.json');
  await writeFile(changed, (await readFile(changed, 'utf8')).replace('10000', '20000'));
  const opened = await createBaseModels({ cacheFolder: cacheFolder() }).open({ ...model, download });
  expect(opened.config.ropeTheta).toBe(10_000);
  expect(downloads()).toBe(6);
});

test.each([
  ['no files', []],
  ['a file that no model has', ['config.json', 'tokenizer.json', 'model.safetensors', 'run.sh']],
  ['a file twice', ['config.json', 'tokenizer.json', 'model.safetensors', 'model.safetensors']],
  ['two GGUF files', ['a.gguf', 'b.gguf']],
])('an offer with %s is refused before a byte is fetched', async (_what, names) => {
  const { download, downloads } = await connect();
  const files = names.map((name) => ({ name, sha256: sha256(name), sizeBytes: 1 }));
  const models = createBaseModels({ cacheFolder: cacheFolder() });
  await expect(models.open({ sha256: '0'.repeat(64) as Sha256, files, download })).rejects.toMatchObject({
    code: 'WEFT_NODE_MODEL_UNAVAILABLE',
  });
  expect(downloads()).toBe(0);
});

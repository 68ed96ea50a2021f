import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeNewFiles, writeNewFolder } from './new-path.ts';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'weft-new-path-'));
});
afterEach(() => rm(root, { recursive: true }));

const one = (folder: string): Promise<void> => writeFile(join(folder, 'one'), '1');

test('a folder appears whole, also where an empty one stood and where its parent is missing', async () => {
  await mkdir(join(root, 'empty'));
  for (const out of ['new', 'empty', 'deep/new']) {
    await writeNewFolder(join(root, out), async (folder) => {
      await one(folder);
      expect(await readdir(join(root, out)).catch(() => [])).toEqual([]);
    });
    expect(await readdir(join(root, out))).toEqual(['one']);
  }
  expect((await readdir(root)).toSorted()).toEqual(['deep', 'empty', 'new']);
});

test('a failure half-way leaves nothing', async () => {
  const written = writeNewFolder(join(root, 'out'), async (folder) => {
    await one(folder);
    throw new Error('half-way');
  });
  await expect(written).rejects.toThrow('half-way');
  expect(await readdir(root)).toEqual([]);
});

test('what came to stand there meanwhile is left alone', async () => {
  const out = join(root, 'out');
  const written = writeNewFolder(out, async (folder) => {
    await one(folder);
    await mkdir(out);
    await writeFile(join(out, 'theirs'), '2');
  });
  await expect(written).rejects.toMatchObject({ code: 'WEFT_EXPORT_PATH_TAKEN' });
  expect(await readdir(root)).toEqual(['out']);
  expect(await readdir(out)).toEqual(['theirs']);
});

test('files that belong together are all there, or none', async () => {
  const [card, model] = [join(root, 'deep', 'model.md'), join(root, 'deep', 'model.gguf')];
  const fill = async (folder: string): Promise<void> => {
    await writeFile(join(folder, 'model.md'), 'card');
    await writeFile(join(folder, 'model.gguf'), 'model');
  };
  await writeNewFiles([card, model], fill);
  expect((await readdir(join(root, 'deep'))).toSorted()).toEqual(['model.gguf', 'model.md']);
  await rm(card);
  await expect(writeNewFiles([card, model], fill)).rejects.toMatchObject({ code: 'WEFT_EXPORT_PATH_TAKEN' });
  expect(await readdir(join(root, 'deep'))).toEqual(['model.gguf']);

  const others = join(root, 'others');
  const taken = writeNewFiles([join(others, 'model.md'), join(others, 'model.gguf')], async (folder) => {
    await fill(folder);
    // somebody else writes meanwhile
    await writeFile(join(others, 'model.gguf'), 'mine');
  });
  await expect(taken).rejects.toMatchObject({ code: 'WEFT_EXPORT_PATH_TAKEN' });
  expect(await readdir(others)).toEqual(['model.gguf']);
});

import { open } from 'node:fs/promises';
import type { Model } from '../models/model.ts';
import { readGgufHeader } from '../weights/gguf/read.ts';
import { insideFolder, locateModel } from '../weights/model-files.ts';

/** Front matter stands at the start of a card. */
const frontMatterBytes = 16 * 1024;

/** The base's licence in the hub's short form, as its card's front matter or its GGUF says; undefined where neither does. */
export async function licenceOf(model: Pick<Model, 'path'>): Promise<string | undefined> {
  const place = await locateModel(model.path);
  const stated =
    place.kind === 'gguf'
      ? (await readGgufHeader(place.file)).metadata.get('general.license')
      : /^license:[ \t]*["']?([\w.-]+)["']?[ \t]*$/m.exec(await frontMatter(place.folder))?.[1];
  return typeof stated === 'string' && /^[\w.-]{1,64}$/.test(stated) ? stated : undefined;
}

async function frontMatter(folder: string): Promise<string> {
  const file = await insideFolder(folder, 'README.md').catch(() => undefined);
  if (file === undefined) return '';
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(frontMatterBytes), 0, frontMatterBytes, 0);
    const text = new TextDecoder().decode(buffer.subarray(0, bytesRead));
    return /^---\r?\n([\s\S]*?)\r?\n---/.exec(text)?.[1] ?? '';
  } finally {
    await handle.close();
  }
}

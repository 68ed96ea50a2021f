import { readdir, stat } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import { WeftError } from '@weft/shared';
import { dataLimits } from './limits.ts';

/** What Weft reads: by its extension a file becomes records. */
export const dataExtensions = ['.txt', '.md', '.jsonl', '.csv', '.parquet'] as const;
export type DataExtension = (typeof dataExtensions)[number];

const spoken = `${dataExtensions.slice(0, -1).join(', ')} and ${dataExtensions.at(-1)}`;

export const extensionOf = (name: string): DataExtension | undefined => {
  const extension = extname(name).toLowerCase();
  return dataExtensions.find((known) => known === extension);
};

/** The file itself, or the data files of a folder in order of name, with what lies in its folders. */
export async function dataFiles(given: string): Promise<string[]> {
  const path = resolve(given);
  const entry = await stat(path).catch(unreadable(path));
  if (!entry.isDirectory()) {
    if (extensionOf(path)) return [path];
    throw new WeftError(
      'WEFT_DATA_FORMAT_UNKNOWN',
      `a data file ends in ${extname(path) || 'nothing'}; Weft reads ${spoken}`,
      { path },
    );
  }
  const files = await filesBelow(path, 1);
  if (files.length === 0)
    throw new WeftError('WEFT_DATA_NOT_FOUND', `the data folder holds no file that Weft reads (${spoken})`, { path });
  if (files.length > dataLimits.files) throw beyondDataLimit('files', files.length);
  return files;
}

export const beyondDataLimit = (name: keyof typeof dataLimits, actual: number): WeftError =>
  new WeftError('WEFT_DATA_LIMIT', `${name} is ${actual}, the limit is ${dataLimits[name]}`, {
    limit: `data.${name}`,
    actual,
  });

/** The system's own message would name the path. */
const unreadable =
  (path: string) =>
  (error: unknown): never => {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw new WeftError('WEFT_DATA_NOT_FOUND', `there is no data that can be read at a path (${reason})`, { path });
  };

/** Hidden entries are left out; symbolic links to folders are not followed, so that none leads in circles. */
async function filesBelow(folder: string, depth: number): Promise<string[]> {
  if (depth > dataLimits.folderDepth) throw beyondDataLimit('folderDepth', depth);
  const files: string[] = [];
  const entries = await readdir(folder, { withFileTypes: true }).catch(unreadable(folder));
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) files.push(...(await filesBelow(path, depth + 1)));
    else if (extensionOf(entry.name) && (entry.isFile() || (await stat(path).catch(unreadable(path))).isFile()))
      files.push(path);
  }
  return files;
}

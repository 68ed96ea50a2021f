import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { WeftError } from '@weft/shared';

/** Refuses a path at which something stands; an empty folder is as good as none. */
export async function refuseTaken(path: string): Promise<void> {
  const entry = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (entry === undefined || (entry.isDirectory() && (await readdir(path)).length === 0)) return;
  throw new WeftError('WEFT_EXPORT_PATH_TAKEN', `there is already something at ${basename(path)}`, { path });
}

/** Fills a folder under another name beside it and renames it when it is whole; a failure leaves nothing behind. */
export const writeNewFolder = (folder: string, fill: (temporary: string) => Promise<void>): Promise<void> =>
  besides(folder, async (temporary) => {
    await fill(temporary);
    await takePlace(temporary, folder);
  });

/**
 * The same for files that belong together and lie in one folder: all of them are there in the end or none, the last one
 * last.
 * @param fill writes each under its own name into the folder that it is given
 */
export const writeNewFiles = async (
  paths: readonly [string, ...string[]],
  fill: (temporary: string) => Promise<void>,
) => {
  for (const path of paths) await refuseTaken(path);
  await besides(paths[0], async (temporary) => {
    await fill(temporary);
    const placed: string[] = [];
    try {
      for (const path of paths) {
        await takePlace(join(temporary, basename(path)), path);
        placed.push(path);
      }
    } catch (error) {
      for (const path of placed) await rm(path, { force: true });
      throw error;
    }
    await rmdir(temporary);
  });
};

async function takePlace(temporary: string, path: string): Promise<void> {
  await refuseTaken(path);
  // Windows renames onto no folder, not even an empty one, and nobody renames a file onto one
  await rmdir(path).catch(() => {});
  await rename(temporary, path);
}

/** A folder of its own beside what shall be written, gone when that fails. */
async function besides(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const parent = dirname(path);
  await mkdir(parent, { recursive: true });
  const temporary = join(parent, `.${basename(path)}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await mkdir(temporary);
    await write(temporary);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

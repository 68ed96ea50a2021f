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
export async function writeNewFolder(folder: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  const parent = dirname(folder);
  await mkdir(parent, { recursive: true });
  const temporary = join(parent, `.${basename(folder)}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await mkdir(temporary);
    await fill(temporary);
    await refuseTaken(folder);
    // Windows renames onto no folder, not even an empty one
    await rmdir(folder).catch(() => {});
    await rename(temporary, folder);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

import { randomBytes } from 'node:crypto';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { WeftError } from '@weft/shared';

/**
 * Fills a file that nobody sees until it is whole: a temporary name in the same folder, fsync, rename, fsync of the
 * folder. Two processes that write the same file both end well; the later rename wins.
 */
export async function writeFileAtomically(path: string, fill: (handle: FileHandle) => Promise<void>): Promise<void> {
  await fillThenRename(path, async (handle) => {
    await fill(handle);
    await handle.sync();
    return path;
  });
  await syncFolder(dirname(path));
}

/**
 * The same without any fsync: whole for every process, and after a crash of the machine perhaps not. `fill` says what
 * the file is to be called, in the folder of `path`; until then its name is made from that of `path`.
 */
export async function fillThenRename(path: string, fill: (handle: FileHandle) => Promise<string>): Promise<string> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const handle = await open(temporary, 'wx', 0o644);
    let name: string;
    try {
      name = await fill(handle);
    } finally {
      await handle.close();
    }
    await rename(temporary, name);
    return name;
  } catch (error) {
    await rm(temporary, { force: true });
    throw isFull(error)
      ? new WeftError(
          'WEFT_DISK_FULL',
          `the disk was full while ${basename(path)} was written`,
          { folder },
          { cause: error },
        )
      : error;
  }
}

/** Makes a rename durable. Windows has no such call and needs none. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export const isFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException)?.code ?? '');

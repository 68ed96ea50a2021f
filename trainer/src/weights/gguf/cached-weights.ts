import { open, readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { isWeftError, WeftError, type Sha256 } from '@weft/shared';
import { readSafetensorsHeader, type SafetensorsFile } from '../safetensors/read.ts';

/** Raised when the bytes that unpacking makes from one GGUF change: older cache files are then made again. */
const unpackingVersion = '2';
/** A temporary file this old belongs to a process that died. */
const abandonedMs = 6 * 3600 * 1000;

const notYet = '"weft.durable":"no "';
const durable = '"weft.durable":"yes"';
/** The metadata opens the header and is shorter than this. */
const metadataBytes = 1024;

/** What the cache file says of itself; of the same length whatever the hash. */
export const cacheMetadata = (sha256: string): Readonly<Record<string, string>> => ({
  format: 'pt',
  'weft.gguf_sha256': sha256,
  'weft.unpacking': unpackingVersion,
  'weft.durable': 'no ',
});

export const cachedFile = (folder: string, sha256: Sha256): string => join(folder, `${sha256}-f32.safetensors`);
/** Stands in the temporary file's name while the hash is not known. */
export const unnamedFile = 'gguf-f32.safetensors';

/** A cache file that is whole, of this version and known to be on the disk; anything else is made again. */
export async function readCached(file: string, sha256: Sha256): Promise<SafetensorsFile | undefined> {
  try {
    const cached = await readSafetensorsHeader(file);
    const { 'weft.gguf_sha256': of, 'weft.unpacking': version, 'weft.durable': isDurable } = cached.metadata;
    return of === sha256 && version === unpackingVersion && isDurable === 'yes' ? cached : undefined;
  } catch (error) {
    if (isWeftError(error)) return undefined;
    throw error;
  }
}

/** Whether some file of the cache could be the one that would be made: they differ in the hash alone. */
export async function holdsFileOfSize(folder: string, sizeBytes: number): Promise<boolean> {
  for (const name of await readdir(folder)) {
    if (!/^[0-9a-f]{64}-f32\.safetensors$/.test(name)) continue;
    const entry = await stat(join(folder, name)).catch(() => undefined);
    if (entry?.size === sizeBytes) return true;
  }
  return false;
}

const settling = new Set<Promise<void>>();

/**
 * Has the file put on the disk, and says so in the file. Nobody waits: training may read it at once, from the page
 * cache. A machine that loses power meanwhile leaves a file that does not say so, whatever its length, and such a file
 * is made again. So is one that could not be put on the disk.
 */
export function makeDurable(file: string): void {
  const settled = syncAndMark(file).catch(() => {});
  settling.add(settled);
  void settled.then(() => settling.delete(settled));
}

/** Resolves when this process has no unpacked file left that is on its way to the disk. */
export const cacheSettled = async (): Promise<void> => void (await Promise.all(settling));

async function syncAndMark(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.sync();
    const head = Buffer.alloc(metadataBytes);
    await handle.read(head, 0, head.length, 0);
    const at = head.indexOf(notYet);
    if (at >= 0) await handle.write(Buffer.from(durable), 0, durable.length, at);
  } finally {
    await handle.close();
  }
}

export async function refuseFullDisk(folder: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  if (freeBytes < neededBytes) {
    throw new WeftError(
      'WEFT_DISK_FULL',
      `the unpacked model needs ${neededBytes} bytes in the cache, ${freeBytes} are free`,
      { neededBytes, freeBytes },
    );
  }
}

export async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!/^\.([0-9a-f]{64}|gguf)-[a-z0-9-]+\.safetensors\..+\.tmp$/.test(name)) continue;
    const path = join(folder, name);
    const entry = await stat(path).catch(() => undefined);
    if (entry !== undefined && Date.now() - entry.mtimeMs > abandonedMs) await rm(path, { force: true });
  }
}

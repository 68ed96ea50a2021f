import { createHash, randomBytes } from 'node:crypto';
import { readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { WeftError, type Sha256 } from '@weft/shared';
import { ensureCacheDir, unusable } from '../weights/cache-folder.ts';
import { hashFile } from '../weights/hash-file.ts';

/** Left free for everything else. */
const reserveBytes = 64 * 1024 * 1024;
/** Longer than any wait between two writes of a pull that lives. */
const abandonedMs = 15 * 60_000;
/** Who has not come back by then does not. */
const forgottenMs = 14 * 24 * 3_600_000;

/** Partial files that this process works on. */
const held = new Set<string>();

/**
 * Files by their SHA-256, each once, and what has come so far of those that are on their way.
 *
 * Every process writes to a partial file of its own. What a dead one left is taken over by renaming it, which only one
 * taker can do; so there is no lock that a killed process could leave behind.
 */
export class BlobStore {
  readonly #blobs: string;
  readonly #incoming: string;

  private constructor(blobs: string, incoming: string) {
    this.#blobs = blobs;
    this.#incoming = incoming;
  }

  /** @throws WEFT_MODEL_CACHE_UNUSABLE */
  static async open(hubFolder: string): Promise<BlobStore> {
    const store = new BlobStore(
      await ensureCacheDir(join(hubFolder, 'blobs')),
      await ensureCacheDir(join(hubFolder, 'incoming')),
    );
    for (const { path, modifiedMs } of await store.#partials('')) {
      if (Date.now() - modifiedMs > forgottenMs) await rm(path, { force: true });
    }
    return store;
  }

  blobPath(sha256: Sha256): string {
    return join(this.#blobs, sha256);
  }

  /** Whether the blob is here and still what its name says; one that is not is removed. */
  async holds(sha256: Sha256, sizeBytes: number, signal?: AbortSignal): Promise<boolean> {
    const path = this.blobPath(sha256);
    const entry = await stat(path).catch(() => undefined);
    if (entry === undefined) return false;
    if (entry.size === sizeBytes && (await hashFile(path, { signal })) === sha256) return true;
    await rm(path, { force: true });
    return false;
  }

  /** A file for this process alone: what another left of the same content, or nothing yet. */
  async claimPartial(contentId: string): Promise<string> {
    const own = join(this.#incoming, `${contentId}.${thisHost}.${process.pid}.${randomBytes(6).toString('hex')}.part`);
    held.add(own);
    const orphans = (await this.#partials(contentId)).filter(isOrphan);
    for (const { path } of orphans.toSorted((a, b) => b.sizeBytes - a.sizeBytes)) {
      // another pull may have been faster
      if (
        await rename(path, own).then(
          () => true,
          () => false,
        )
      )
        return own;
    }
    return own;
  }

  /** Others may go on with it. */
  release(partial: string): void {
    held.delete(partial);
  }

  /** A finished partial becomes the blob. Whether a rename outlives a power failure matters little: all is hashed again. */
  keep(partial: string, sha256: Sha256): Promise<void> {
    return rename(partial, this.blobPath(sha256));
  }

  /** How much of the content is here already, as far as another process does not work on it. */
  async partialBytes(contentId: string): Promise<number> {
    const orphans = (await this.#partials(contentId)).filter(isOrphan);
    return Math.max(0, ...orphans.map(({ sizeBytes }) => sizeBytes));
  }

  /** @throws WEFT_DISK_FULL before the disk is */
  async requireSpace(neededBytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#blobs);
    const freeBytes = bavail * bsize;
    if (neededBytes > 0 && freeBytes < neededBytes + reserveBytes)
      throw new WeftError(
        'WEFT_DISK_FULL',
        `${neededBytes} bytes are to be fetched into the cache, ${freeBytes} are free and ${reserveBytes} stay free`,
        { neededBytes, freeBytes },
      );
  }

  async #partials(contentId: string): Promise<Partial[]> {
    const names = await readdir(this.#incoming).catch((cause: unknown) => {
      throw unusable(this.#incoming, cause);
    });
    const found = names
      .filter((name) => name.endsWith('.part') && (contentId === '' || name.startsWith(`${contentId}.`)))
      .map(async (name) => {
        const path = join(this.#incoming, name);
        const entry = await stat(path).catch(() => undefined);
        const [, host, pid] = name.split('.');
        return entry === undefined
          ? []
          : [{ path, host, pid: Number(pid), sizeBytes: entry.size, modifiedMs: entry.mtimeMs }];
      });
    return (await Promise.all(found)).flat();
  }
}

interface Partial {
  readonly path: string;
  readonly host: string | undefined;
  readonly pid: number;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

const thisHost = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

function isOrphan({ path, host, pid, modifiedMs }: Partial): boolean {
  if (held.has(path)) return false;
  if (Date.now() - modifiedMs > abandonedMs) return true;
  // of another machine that shares the folder nothing is known but the time; a container's process is often number 1
  return host === thisHost && (pid === process.pid || !isAlive(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

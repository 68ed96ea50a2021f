import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openIdentity, type NodeKeys } from './identity-file.ts';
import { lockHome } from './lock.ts';

/** A node's folder, held by this process. */
export interface NodeHome extends NodeKeys {
  readonly path: string;
  /** Updates that have no receipt yet. */
  readonly pendingFolder: string;
  /** Models and adapters that were fetched; may be deleted while no agent runs. */
  readonly cacheFolder: string;
  release(): Promise<void>;
}

/**
 * Opens the folder for its owner alone (0700) and locks it.
 * @throws WEFT_HOME_LOCKED, WEFT_NODE_HOME_DAMAGED, WEFT_NODE_HOME_EXPOSED
 */
export async function openHome(path: string): Promise<NodeHome> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chmod(path, 0o700);
  const lock = await lockHome(path);
  try {
    const keys = await openIdentity(path);
    const pendingFolder = join(path, 'pending');
    const cacheFolder = join(path, 'cache');
    await mkdir(pendingFolder, { recursive: true, mode: 0o700 });
    await mkdir(cacheFolder, { recursive: true, mode: 0o700 });
    return { path, ...keys, pendingFolder, cacheFolder, release: () => lock.release() };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

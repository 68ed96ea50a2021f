import { join } from 'node:path';
import { openFileBlobs, type FileBlobStore } from '../store/file-blobs.ts';

/** Stores of their own, so that no hash of an update can ever be served as an adapter. */
export interface RunBlobs {
  readonly adapters: FileBlobStore;
  readonly updates: FileBlobStore;
  /** What the evaluation gates of runs score with; public. */
  readonly gateData: FileBlobStore;
}

export const openRunBlobs = async (homeDir: string): Promise<RunBlobs> => ({
  adapters: await openFileBlobs(join(homeDir, 'blobs', 'adapters')),
  updates: await openFileBlobs(join(homeDir, 'blobs', 'updates')),
  gateData: await openFileBlobs(join(homeDir, 'blobs', 'gate')),
});

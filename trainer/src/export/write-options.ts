import type { OnProgress } from '../progress.ts';

/** Of everything that takes a while to write. */
export interface WriteOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

/** Tells of `totalBytes` as they are written. */
export function countBytes(totalBytes: number, onProgress: OnProgress | undefined): (bytes: number) => void {
  let doneBytes = 0;
  return (bytes) => onProgress?.({ phase: 'write', doneBytes: (doneBytes += bytes), totalBytes });
}

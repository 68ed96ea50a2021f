/** A thread of unpack-threads.ts: hashes the file where it is told to, then unpacks pieces until there are none left. */
import { parentPort, workerData } from 'node:worker_threads';
import { FileEnded, hashWhole, unpackPieces, type PackedTensor } from './unpack-work.ts';

/** Files are descriptors, which all threads of a process share; the owner closes them when the threads have ended. */
export interface UnpackTask {
  readonly source: number;
  readonly hashes: boolean;
  readonly target: number;
  readonly tensors: readonly PackedTensor[];
  /** Int32 [1]: the number of the next piece. */
  readonly counter: SharedArrayBuffer;
}

export type UnpackReport =
  | { readonly kind: 'hashed'; readonly bytes: number }
  | { readonly kind: 'unpacked'; readonly bytes: number }
  | { readonly kind: 'hash'; readonly sha256: string }
  | {
      readonly kind: 'failed';
      readonly message: string;
      readonly code: string | undefined;
      readonly endedAt: number | undefined;
    };

const port = parentPort;
if (!port) throw new Error('unpack-worker.ts runs as a worker thread');
const report = (what: UnpackReport): void => port.postMessage(what);
const { source, hashes, target, tensors, counter } = workerData as UnpackTask;
const next = new Int32Array(counter);
try {
  if (hashes) report({ kind: 'hash', sha256: hashWhole(source, (bytes) => report({ kind: 'hashed', bytes })) });
  unpackPieces(
    source,
    target,
    tensors,
    () => Atomics.add(next, 0, 1),
    (bytes) => report({ kind: 'unpacked', bytes }),
  );
} catch (error) {
  const { message, code } = error as NodeJS.ErrnoException;
  report({ kind: 'failed', message, code, endedAt: error instanceof FileEnded ? error.at : undefined });
}

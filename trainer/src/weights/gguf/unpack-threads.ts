import { availableParallelism } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { WeftError } from '@weft/shared';
import type { UnpackReport, UnpackTask } from './unpack-worker.ts';
import { FileEnded, hashWhole, unpackPieces, type PackedTensor } from './unpack-work.ts';

/** A thread costs tens of milliseconds to start: below this many bytes of work the caller's own is quicker. */
const bytesWorthThread = 16 * 1024 * 1024;
/** Beyond it memory and disk are the bottleneck. */
const mostThreads = 4;

export interface UnpackWork {
  /** Descriptor of the GGUF; the caller opens and closes it. */
  readonly source: number;
  /** SHA-256 of the source is asked for, beside the unpacking. */
  readonly hashes: boolean;
  readonly sourceBytes: number;
  /** Absent: nothing is unpacked. */
  readonly into?: { readonly target: number; readonly tensors: readonly PackedTensor[]; readonly sizeBytes: number };
  readonly onHashed: (bytes: number) => void;
  readonly onUnpacked: (bytes: number) => void;
  readonly signal: AbortSignal | undefined;
  /** Called once the threads run; what it throws ends them. */
  readonly meanwhile: (() => void) | undefined;
}

/** Hashes and unpacks on all cores; the digest as hexadecimal digits, empty where none was asked for. */
export async function runUnpacking(work: UnpackWork): Promise<string> {
  work.signal?.throwIfAborted();
  const bytes = Math.max(work.into?.sizeBytes ?? 0, work.hashes ? work.sourceBytes : 0);
  const threads = Math.min(mostThreads, availableParallelism(), Math.ceil(bytes / bytesWorthThread));
  try {
    return bytes < bytesWorthThread ? runHere(work) : await runInThreads(work, work.into ? threads : 1);
  } catch (error) {
    throw error instanceof FileEnded ? ended(error.at) : error;
  }
}

function runHere({ source, hashes, into, onHashed, onUnpacked, signal, meanwhile }: UnpackWork): string {
  meanwhile?.();
  const sha256 = hashes ? hashWhole(source, onHashed) : '';
  let next = 0;
  if (into)
    unpackPieces(
      source,
      into.target,
      into.tensors,
      () => next++,
      (bytes) => {
        onUnpacked(bytes);
        signal?.throwIfAborted();
      },
    );
  return sha256;
}

async function runInThreads(work: UnpackWork, threads: number): Promise<string> {
  const { source, into, signal } = work;
  const counter = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const workers = Array.from({ length: threads }, (_, index) => {
    const hashes = work.hashes && index === 0;
    const workerData: UnpackTask = {
      source,
      hashes,
      target: into?.target ?? -1,
      tensors: into?.tensors ?? [],
      counter,
    };
    // .ts in a checkout, .js in a package built for npm
    return new Worker(new URL(`unpack-worker${path.extname(import.meta.url)}`, import.meta.url), { workerData });
  });
  const stop = (): void => workers.forEach((worker) => void worker.terminate());
  signal?.addEventListener('abort', stop, { once: true });
  let sha256 = '';
  try {
    const ends = workers.map((worker) => outcome(worker, work, (digest) => (sha256 = digest)));
    for (const end of ends) end.catch(stop);
    let failure: unknown;
    try {
      work.meanwhile?.();
    } catch (error) {
      failure = error;
      stop();
    }
    // The caller closes the files, so the last thread must be gone before it hears of a failure.
    const settled = await Promise.allSettled(ends);
    failure ??= settled.find((end) => end.status === 'rejected')?.reason;
    signal?.throwIfAborted();
    if (failure !== undefined) throw failure;
    return sha256;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** Resolves or rejects once the thread has ended. */
function outcome(
  worker: Worker,
  { onHashed, onUnpacked }: UnpackWork,
  onHash: (sha256: string) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let failure: unknown;
    worker.on('message', (report: UnpackReport) => {
      if (report.kind === 'hashed') onHashed(report.bytes);
      else if (report.kind === 'unpacked') onUnpacked(report.bytes);
      else if (report.kind === 'hash') onHash(report.sha256);
      else failure = report.endedAt === undefined ? systemError(report) : ended(report.endedAt);
    });
    worker.on('error', (cause) => (failure ??= cause));
    worker.on('exit', (code) => {
      if (failure === undefined && code !== 0) failure = new Error(`an unpacking thread ended with code ${code}`);
      if (failure === undefined) resolve();
      else reject(failure);
    });
  });
}

const systemError = ({ message, code }: Extract<UnpackReport, { kind: 'failed' }>): NodeJS.ErrnoException =>
  Object.assign(new Error(message), code !== undefined && { code });

const ended = (at: number): WeftError =>
  new WeftError('WEFT_MODEL_CORRUPT', `the GGUF file ends at byte ${at}, its header promised more`);

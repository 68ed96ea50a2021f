/** The thread that reads a Parquet file: damaged bytes may keep it busy for good, and then it is ended. */
import { parentPort } from 'node:worker_threads';
import { openParquetFile, type ParquetFile } from './parquet-file.ts';
import { ParquetFault } from './parquet-fault.ts';
import type { ParquetFailure, ParquetReply, ParquetRequest } from './parquet-messages.ts';

const port = parentPort;
if (!port) throw new Error('parquet-worker.ts runs as a worker thread');

const post = (reply: ParquetReply): void => port.postMessage(reply);
let file: ParquetFile | undefined;
let rows: AsyncGenerator<unknown[][]> | undefined;

async function answer(request: ParquetRequest): Promise<ParquetReply> {
  switch (request.kind) {
    case 'open':
      file = await openParquetFile(request.file);
      return { kind: 'opened', columns: file.columns };
    case 'choose':
      rows = file?.read(request.columns, () => post({ kind: 'progress' }));
      return { kind: 'chosen' };
    case 'next': {
      const slice = await rows?.next();
      return { kind: 'rows', rows: slice?.done === false ? slice.value : [] };
    }
  }
}

/** hyparquet names what it does not know; what the engine says of damaged bytes helps nobody. */
function failureOf(error: unknown): ParquetFailure {
  if (error instanceof ParquetFault) {
    return { kind: 'failed', what: error.message, ...(error.limit !== undefined && { limit: error.limit }) };
  }
  const message = error instanceof Error ? error.message : '';
  return {
    kind: 'failed',
    what: /^parquet [\w :!=()-]{1,80}$/.test(message) ? message : 'its bytes contradict each other',
  };
}

port.on('message', (request: ParquetRequest) => void answer(request).catch(failureOf).then(post));

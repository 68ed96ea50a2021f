import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { WeftError } from '@weft/shared';
import { parquetLimits } from './parquet-limits.ts';
import type { ParquetReply, ParquetRequest } from './parquet-messages.ts';

type Answer = Exclude<ParquetReply, { kind: 'progress' | 'failed' }>;

/** A Parquet reader in a thread of its own, with a limit on its heap and on the time between signs of progress. */
export class ParquetThread implements AsyncDisposable {
  readonly #file: string;
  readonly #stallMs: number;
  readonly #worker: Worker;
  #waiting: PromiseWithResolvers<Answer> | undefined;
  #alarm: NodeJS.Timeout | undefined;
  #failure: WeftError | undefined;

  constructor(file: string, stallMs: number) {
    this.#file = file;
    this.#stallMs = stallMs;
    // .ts in a checkout, .js in a package built for npm
    this.#worker = new Worker(new URL(`parquet-worker${path.extname(import.meta.url)}`, import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: parquetLimits.parquetHeapBytes / 1024 / 1024 },
    });
    this.#worker.on('message', (reply: ParquetReply) => this.#hear(reply));
    this.#worker.on('error', (error: NodeJS.ErrnoException) => this.#fail(this.#failureOf(error)));
    this.#worker.on('exit', () => this.#fail(this.#damaged('its reader ended')));
  }

  async ask<K extends Answer['kind']>(kind: K, request: ParquetRequest): Promise<Extract<Answer, { kind: K }>> {
    if (this.#failure) throw this.#failure;
    this.#waiting = Promise.withResolvers();
    this.#watch();
    this.#worker.postMessage(request);
    const answer = await this.#waiting.promise;
    if (isAnswer(answer, kind)) return answer;
    throw new WeftError('WEFT_INTERNAL', `the Parquet thread answers ${answer.kind} to ${request.kind}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#alarm);
    await this.#worker.terminate();
  }

  #hear(reply: ParquetReply): void {
    if (reply.kind === 'progress') return this.#watch();
    clearTimeout(this.#alarm);
    if (reply.kind === 'failed') {
      const { what, limit } = reply;
      return this.#fail(
        limit === undefined ? this.#damaged(what) : new WeftError('WEFT_DATA_LIMIT', what, { file: this.#file, limit }),
      );
    }
    this.#waiting?.resolve(reply);
  }

  #watch(): void {
    clearTimeout(this.#alarm);
    this.#alarm = setTimeout(
      () => this.#fail(this.#damaged(`its reader made no progress in ${this.#stallMs} ms (parquetStallMs)`)),
      this.#stallMs,
    );
  }

  #failureOf(error: NodeJS.ErrnoException): WeftError {
    if (error.code !== 'ERR_WORKER_OUT_OF_MEMORY') return this.#damaged('its reader failed');
    return new WeftError(
      'WEFT_DATA_LIMIT',
      `reading a row group takes more than ${parquetLimits.parquetHeapBytes} bytes of heap (parquetHeapBytes)`,
      { file: this.#file, limit: 'data.parquetHeapBytes' },
    );
  }

  #damaged(what: string): WeftError {
    return new WeftError('WEFT_DATA_PARQUET', `a Parquet file cannot be read: ${what}`, { file: this.#file });
  }

  #fail(failure: WeftError): void {
    clearTimeout(this.#alarm);
    this.#failure ??= failure;
    this.#waiting?.reject(this.#failure);
    void this.#worker.terminate();
  }
}

const isAnswer = <K extends Answer['kind']>(answer: Answer, kind: K): answer is Extract<Answer, { kind: K }> =>
  answer.kind === kind;

import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { WeftError } from '@weft/shared';
import { needs, type Provider, statePlaces } from './device.ts';
import type { Numbered, Reply, Request, SessionSettings, WireTensor } from './messages.ts';

export interface SessionThreadOptions {
  readonly provider: Provider;
  readonly threads: number;
  /** Folder that external weights lie below. */
  readonly weightsFolder?: string | undefined;
  /** Profiles the sessions, into files that begin so. */
  readonly profilePrefix?: string | undefined;
  readonly waits?: SessionSettings['waits'] | undefined;
  readonly packsWeights?: boolean | undefined;
  /** Leaves state in the memory of a device that can keep it. */
  readonly keepsState?: boolean | undefined;
}

interface Waiting {
  resolve(tensors: readonly WireTensor[]): void;
  reject(error: unknown): void;
}

/** ONNX Runtime in a thread of its own: sessions, and the state that they share and update in place. */
export class SessionThread implements AsyncDisposable {
  readonly #options: SessionThreadOptions;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ended: Promise<void>;
  #nextId = 0;
  #copiedBytes = 0;
  #failure: WeftError | undefined;

  constructor(options: SessionThreadOptions) {
    this.#options = options;
    // .ts in a checkout, .js in a package built for npm
    this.#worker = new Worker(new URL(`session-worker${path.extname(import.meta.url)}`, import.meta.url));
    this.#worker.on('message', (reply: Reply) => this.#settle(reply));
    this.#worker.on('error', (cause) => this.#fail(`the session thread failed: ${String(cause)}`, cause));
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        this.#fail(`the session thread ended with code ${code}`);
        resolve();
      });
    });
  }

  /** So far, between the memory of the host and that of the device; what the device copies by itself is not counted. */
  get copiedBytes(): number {
    return this.#copiedBytes;
  }

  /** Loads a model under a name. */
  async open(session: string, model: Uint8Array): Promise<void> {
    const { provider, threads, weightsFolder, profilePrefix, keepsState } = this.#options;
    const { waits = 'asleep', packsWeights = false } = this.#options;
    const state = keepsState ? statePlaces[provider.name] : 'host';
    const settings = { provider: provider.name, threads, weightsFolder, profilePrefix, waits, packsWeights, state };
    try {
      await this.#ask({ kind: 'open', session, model, settings });
    } catch (cause) {
      if (provider.name === 'cpu') throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new WeftError(
        'WEFT_TRAINING_DEVICE',
        `device ${provider.name} cannot run the model: ${why.trim()}; it needs ${needs[provider.name]}`,
        { device: provider.name },
        { cause },
      );
    }
  }

  async setState(tensors: readonly WireTensor[]): Promise<void> {
    await this.#ask({ kind: 'setState', tensors });
  }

  /** Runs a session on the state and these inputs; returns the outputs that are no state. */
  async run(
    session: string,
    feeds: readonly WireTensor[],
    { appendAt = 0 }: { appendAt?: number } = {},
  ): Promise<ReadonlyMap<string, Float32Array>> {
    return toMap(await this.#ask({ kind: 'run', session, feeds, appendAt }));
  }

  async readState(names: readonly string[]): Promise<ReadonlyMap<string, Float32Array>> {
    return toMap(await this.#ask({ kind: 'readState', names }));
  }

  /** Ends the thread after the run that is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#failure) {
      const request: Numbered<Request> = { id: this.#nextId++, kind: 'close' };
      this.#worker.postMessage(request);
    }
    await this.#ended;
  }

  #ask(request: Request): Promise<readonly WireTensor[]> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, ...request });
    });
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ('tensors' in reply) {
      this.#copiedBytes += reply.copiedBytes;
      waiting?.resolve(reply.tensors);
    } else waiting?.reject(new WeftError('WEFT_TRAINING_RUNTIME', `ONNX Runtime: ${reply.error}`));
  }

  #fail(what: string, cause?: unknown): void {
    this.#failure ??= new WeftError('WEFT_TRAINING_RUNTIME', what, {}, { cause });
    for (const waiting of this.#waiting.values()) waiting.reject(this.#failure);
    this.#waiting.clear();
  }
}

const toMap = (tensors: readonly WireTensor[]): ReadonlyMap<string, Float32Array> =>
  new Map(
    tensors.flatMap(({ name, data }): [string, Float32Array][] => (data instanceof Float32Array ? [[name, data]] : [])),
  );

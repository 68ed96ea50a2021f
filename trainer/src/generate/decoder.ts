import { type AdapterLayout, WeftError } from '@weft/shared';
import { trainedInput } from '../adapters/lora-inputs.ts';
import { loraSource } from '../adapters/lora-source.ts';
import { blockSource } from '../models/block-source.ts';
import { frozenWeights } from '../models/frozen-weights.ts';
import type { ParameterSource } from '../models/llama.ts';
import type { Model, ModelConfig } from '../models/model.ts';
import { type Device, type Provider, providerFor } from '../session/device.ts';
import { SessionThread } from '../session/session-thread.ts';
import { badOption, defaultThreads } from '../training-loop.ts';
import { buildDecoding, decodingFeeds, emptyCache } from './decoding-graph.ts';
import { buildKernelDecoding, fitsKernel, kernelFeeds } from './kernel-decoding.ts';

export interface DecoderOptions {
  readonly model: Pick<Model, 'config' | 'tensors' | 'blocks'>;
  /** Layout and values of an adapter; without them the base model speaks. */
  readonly layout?: AdapterLayout | undefined;
  readonly adapter?: Float32Array | undefined;
  readonly threads?: number | undefined;
  readonly device?: Device | undefined;
}

/** Tokens of a prompt that are read at a time: enough rows to keep the products busy, little padding. */
const promptRows = 64;
/** The same for kernels that take any number of rows: the limit bounds the memory that scores take. */
const kernelRows = 256;
/** The smallest cache; a longer sequence takes twice as much until it fits. */
const smallestCapacity = 256;

/** Whether all are numbers: infinity and NaN times zero are NaN, and a sum keeps it. */
function areFinite(values: Float32Array): boolean {
  let zero = 0;
  for (let index = 0; index < values.length; index++) zero += 0 * (values[index] ?? Number.NaN);
  return zero === 0;
}

/** A model that remembers what it has read: logits for a sequence cost only what the last one did not share with it. */
export class Decoder implements AsyncDisposable {
  readonly config: ModelConfig;
  readonly #thread: SessionThread;
  readonly #source: ParameterSource;
  readonly #provider: Provider;
  readonly #opened = new Set<string>();
  #capacity = 0;
  /** What the cache holds. */
  #cached: number[] = [];

  private constructor(config: ModelConfig, thread: SessionThread, source: ParameterSource, provider: Provider) {
    this.config = config;
    this.#thread = thread;
    this.#source = source;
    this.#provider = provider;
  }

  static async open({ model, layout, adapter, threads, device = 'auto' }: DecoderOptions): Promise<Decoder> {
    if (adapter?.length !== layout?.size) {
      throw badOption('adapter', `${adapter?.length ?? 'no'} values`, `${layout?.size ?? 'no'} values`);
    }
    const provider = providerFor(device);
    if (model.blocks && provider.target !== 'cpu')
      throw badOption('device', device, 'the CPU for weights in blocks; other devices take fp32');
    const weights = frozenWeights(model.tensors, model.blocks);
    const plain = loraSource(weights, layout, 'both');
    const source = model.blocks ? blockSource(plain, weights, model.blocks, model.config) : plain;
    const thread = new SessionThread({
      provider,
      threads: threads ?? defaultThreads(),
      weightsFolder: weights.folder,
      waits: 'busily',
      packsWeights: model.blocks !== undefined,
    });
    if (adapter) await thread.setState([{ name: trainedInput, shape: [adapter.length], data: adapter }]);
    return new Decoder(model.config, thread, source, provider);
  }

  /** Makes room for a sequence of this length; a cache that is too small starts anew. */
  async reserve(length: number): Promise<void> {
    const { maxPositions } = this.config;
    if (length > maxPositions)
      throw badOption('sequence length', length, `at most the model's ${maxPositions} positions`);
    if (length <= this.#capacity) return;
    let capacity = smallestCapacity;
    while (capacity < length) capacity *= 2;
    await this.#thread.setState(emptyCache(this.config, capacity));
    this.#capacity = capacity;
    this.#cached = [];
  }

  /** The logits [vocab] of the token that follows `ids`. */
  async logits(ids: readonly number[]): Promise<Float32Array> {
    const wrong = ids.find((id) => !Number.isSafeInteger(id) || id < 0 || id >= this.config.vocabSize);
    if (ids.length === 0) throw badOption('prompt', 'empty', 'at least one token');
    if (wrong !== undefined) throw badOption('token', wrong, `an id below ${this.config.vocabSize}`);
    await this.reserve(ids.length);
    const different = this.#cached.findIndex((id, position) => id !== ids[position]);
    // The last token is always run: its logits are what is asked for, and they are not kept.
    let position = Math.min(different === -1 ? this.#cached.length : different, ids.length - 1);
    this.#cached.length = position;
    let logits: Float32Array | undefined;
    while (position < ids.length) {
      const { part, results } = await this.#run(ids, position);
      logits = results.get('logits');
      this.#cached.push(...part);
      position += part.length;
    }
    if (!logits || !areFinite(logits)) {
      const what = 'generation: the model or the adapter gives values that are not finite';
      throw new WeftError('WEFT_TRAINING_DIVERGED', what);
    }
    return logits;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread[Symbol.asyncDispose]();
  }

  /** Reads some of the ids that follow `position`. */
  async #run(
    ids: readonly number[],
    position: number,
  ): Promise<{ part: readonly number[]; results: ReadonlyMap<string, Float32Array> }> {
    const capacity = this.#capacity;
    if (this.#provider.target === 'cpu' && fitsKernel(this.config)) {
      const part = ids.slice(position, position + kernelRows);
      const session = await this.#open(`decode-of-${capacity}`, () =>
        buildKernelDecoding(this.config, capacity, this.#source),
      );
      return { part, results: await this.#thread.run(session, kernelFeeds(part, position)) };
    }
    const rows = ids.length - position === 1 ? 1 : promptRows;
    const part = ids.slice(position, position + rows);
    const shape = { rows, capacity };
    const session = await this.#open(`decode-${rows}-of-${capacity}`, () =>
      buildDecoding(this.config, shape, this.#source, this.#provider.target),
    );
    const feeds = decodingFeeds(this.config, part, position, shape);
    return { part, results: await this.#thread.run(session, feeds, { appendAt: position }) };
  }

  async #open(name: string, build: () => Uint8Array): Promise<string> {
    if (!this.#opened.has(name)) {
      await this.#thread.open(name, build());
      this.#opened.add(name);
    }
    return name;
  }
}

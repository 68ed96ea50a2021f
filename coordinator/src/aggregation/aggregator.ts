import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { WeftError, type secagg, type UpdateEncoding } from '@weft/shared';
import type { AggregationResult, AggregatorAnswer, AggregatorRequest, RefusedSum } from './aggregator-messages.ts';
import { passesOf, rangesOf } from './rules/by-ranges.ts';
import type { RuleSettings } from './rules/rule.ts';
import type { ServerSettings } from './server-optimizer.ts';
import { requireTrimmable } from './shard-means.ts';

export interface AggregationJob {
  readonly encoding: UpdateEncoding;
  readonly rotationSeed: string;
  /** One in mode plain and of a session without shards; summed one after the other, each in the memory of one vector. */
  readonly sums: readonly SumJob[];
  /** Take the trimmed mean over the means of the sums, with this share left out at each end; undefined: add them up. */
  readonly trimShare?: number | undefined;
  readonly server: ServerSettings;
  /** The trained factor before the round. */
  readonly previous: Float32Array;
  /** The server optimizer's state of this factor. */
  readonly momentum: Float64Array | undefined;
}

/** A sum that the coordinator sees by itself: of a shard, of a session, of all updates in mode plain. */
export interface SumJob {
  readonly nodes: number;
  /** Each update's packed ring words in pieces; read one after the other, one piece in memory. */
  readonly updates: Iterable<AsyncIterable<Uint8Array>>;
  /** What takes the masks off the sum; undefined in mode plain, whose updates are looked at one by one. */
  readonly masks?: readonly secagg.MaskTerm[] | undefined;
}

/** Ring words of the coordinates [from, to) of one update. */
type ReadRange = (from: number, to: number) => Promise<Uint8Array>;

/** By a rule other than mean, where each update can be seen and counts once. */
export interface RuleJob extends Pick<AggregationJob, 'encoding' | 'server' | 'previous' | 'momentum'> {
  readonly settings: RuleSettings;
  /** Read range by range, once or twice, so that no whole update is in memory. */
  readonly updates: readonly ReadRange[];
}

export interface Aggregator {
  /** One job at a time; a second waits for the first. */
  aggregate(job: AggregationJob): Promise<AggregationResult>;
  aggregateByRule(job: RuleJob): Promise<AggregationResult>;
  close(): Promise<void>;
}

/** The arithmetic runs in a worker thread, so that sessions stay alive meanwhile. */
export function createAggregator(): Aggregator {
  let thread: AggregatorThread | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = (work: (thread: AggregatorThread) => Promise<AggregationResult>): Promise<AggregationResult> => {
    const result = last.then(() => work((thread ??= new AggregatorThread())));
    last = result.catch(() => undefined);
    return result;
  };
  return {
    aggregate: (job) => inTurn((worker) => run(worker, job)),
    aggregateByRule: (job) => inTurn((worker) => runByRule(worker, job)),
    async close() {
      await last;
      await thread?.close();
      thread = undefined;
    },
  };
}

async function run(thread: AggregatorThread, job: AggregationJob): Promise<AggregationResult> {
  const { encoding, rotationSeed, sums, trimShare, server, previous, momentum } = job;
  const refused: RefusedSum[] = [];
  for (const [sum, { nodes, updates, masks }] of sums.entries()) {
    await thread.ask({ kind: 'begin', encoding, sum });
    for (const update of updates) {
      for await (const piece of update) {
        // A copy, since the piece may be a window of memory that others use.
        const bytes = new Uint8Array(piece);
        await thread.ask({ kind: 'piece', bytes }, bytes.buffer);
      }
      await thread.ask({ kind: 'endUpdate' });
    }
    if (masks !== undefined && masks.length > 0) await thread.ask({ kind: 'unmask', masks });
    const { fault } = await thread.ask({
      kind: 'endSum',
      encoding,
      isTested: masks !== undefined,
      keepsMean: trimShare !== undefined,
      summed: { nodes, rotationSeed },
    });
    if (fault !== undefined) refused.push({ sum, because: fault });
  }
  const [first] = refused;
  if (first !== undefined && refused.length === sums.length)
    throw new WeftError('WEFT_SUM_REFUSED', `${refused.length} of ${sums.length} sums are refused: ${first.because}`);
  const left = sums.filter((_, sum) => !refused.some((fault) => fault.sum === sum));
  if (trimShare !== undefined) requireTrimmable(left.length, sums.length);
  const nodes = left.reduce((count, sum) => count + sum.nodes, 0);
  const { result } = await thread.ask({
    kind: 'finish',
    encoding,
    summed: { nodes, rotationSeed },
    trimShare,
    server,
    previous,
    momentum,
  });
  if (result === undefined) throw new WeftError('WEFT_INTERNAL', 'the aggregator gave no result');
  return refused.length === 0 ? result : { ...result, refused };
}

async function runByRule(thread: AggregatorThread, job: RuleJob): Promise<AggregationResult> {
  const { settings, updates, encoding, server, previous, momentum } = job;
  const values = previous.length;
  await thread.ask({ kind: 'beginRule', settings, nodes: updates.length, values });
  for (const kind of passesOf(settings)) {
    for (const { from, to } of rangesOf(values, updates.length)) {
      const range: Uint8Array<ArrayBuffer>[] = [];
      // A copy of each, since the bytes may be a window of memory that others use; one after the other, few open files.
      for (const read of updates) range.push(new Uint8Array(await read(from, to)));
      await thread.ask({ kind, from, updates: range, encoding }, ...range.map(({ buffer }) => buffer));
    }
  }
  const { result } = await thread.ask({ kind: 'finishRule', server, previous, momentum });
  if (result === undefined) throw new WeftError('WEFT_INTERNAL', 'the aggregator gave no result');
  return result;
}

type Answered = Exclude<AggregatorAnswer, { error: string }>;

interface Waiting {
  resolve(answer: Answered): void;
  reject(error: Error): void;
}

class AggregatorThread {
  readonly #worker = new Worker(new URL(`aggregator-worker${extname(import.meta.url)}`, import.meta.url));
  readonly #waiting: Waiting[] = [];
  #failure: Error | undefined;

  constructor() {
    this.#worker.unref();
    this.#worker.on('message', (answer: AggregatorAnswer) => {
      const next = this.#waiting.shift();
      if (this.#waiting.length === 0) this.#worker.unref();
      if ('error' in answer) next?.reject(new WeftError('WEFT_INTERNAL', `the aggregator failed: ${answer.error}`));
      else next?.resolve(answer);
    });
    this.#worker.on('error', (error) => this.#fail(error instanceof Error ? error : new Error(String(error))));
    this.#worker.on('exit', (exitCode) => this.#fail(new Error(`the aggregator's thread ended with code ${exitCode}`)));
  }

  ask(request: AggregatorRequest, ...transfer: ArrayBuffer[]): Promise<Answered> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    // The process stays while an answer is awaited, and may end otherwise.
    this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(request, transfer);
    });
  }

  async close(): Promise<void> {
    this.#failure ??= new Error("the aggregator's thread was closed");
    await this.#worker.terminate();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#failure);
  }
}

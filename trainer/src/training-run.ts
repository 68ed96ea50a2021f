import { type AdapterLayout, createAdapterLayout, type LoraTarget, loraTargets, WeftError } from '@weft/shared';
import { initAdapter } from './adapters/init-adapter.ts';
import type { LoadedAdapter } from './adapters/peft-folder.ts';
import type { Example } from './data/index.ts';
import { badOption } from './training-loop.ts';
import { type LoraTrainStep, type StepOptions, type TrainResult, trainSteps } from './train.ts';

/** What `train` does where it is not told. */
export const trainDefaults = {
  rank: 8,
  alpha: 16,
  targets: ['q_proj', 'v_proj'] as readonly LoraTarget[],
  batchSize: 4,
  learningRate: 1e-4,
  epochs: 1,
} as const;

export interface LoraOptions {
  readonly rank?: number | undefined;
  readonly alpha?: number | undefined;
  readonly targets?: readonly LoraTarget[] | undefined;
}

type Optional<T> = { readonly [Key in keyof T]?: T[Key] | undefined };

export interface TrainOptions extends Optional<Omit<StepOptions, 'model' | 'examples'>> {
  readonly model: StepOptions['model'];
  /** Rows of token ids, as `encodeRecords` makes them. */
  readonly examples: readonly Example[];
  /** The shape of a fresh adapter, drawn from the seed; `layout` and `adapter` go on from one that there is. */
  readonly lora?: LoraOptions | undefined;
  /** Passes over the examples, where `steps` does not say how long. */
  readonly epochs?: number | undefined;
}

/** A run of training: an iterator of its steps, which knows afterwards what they have made. */
export interface TrainingRun extends AsyncGenerator<LoraTrainStep, TrainResult, void> {
  readonly steps: number;
  /** The adapter after the last step, as `saveAdapter`, `evaluate` and `generate` take it; before it, an error. */
  readonly trained: LoadedAdapter;
}

/**
 * Fine-tunes LoRA factors, one step for each turn of a `for await`. A loop that is left early ends the run; a step's
 * `snapshot` is what to keep then.
 */
export function train(options: TrainOptions): TrainingRun {
  const settled = withDefaults(options);
  const { layout } = settled;
  const generator = trainSteps(settled);
  let done = 0;
  let result: TrainResult | undefined;
  const noted = (next: IteratorResult<LoraTrainStep, TrainResult>): IteratorResult<LoraTrainStep, TrainResult> => {
    if (!next.done) done = next.value.step;
    return next;
  };
  return {
    steps: settled.steps,
    get trained() {
      if (result) return { layout, adapter: result.adapter };
      throw new WeftError('WEFT_TRAINING_UNFINISHED', `${done} of ${settled.steps} steps are done`, {
        done,
        steps: settled.steps,
      });
    },
    async next() {
      const next = await generator.next();
      if (next.done) result ??= next.value;
      return noted(next);
    },
    return: async (value) => generator.return(value),
    throw: async (error: unknown) => generator.throw(error),
    [Symbol.asyncIterator]() {
      return this;
    },
    [Symbol.asyncDispose]: () => generator[Symbol.asyncDispose](),
  };
}

function withDefaults({ lora = {}, epochs = trainDefaults.epochs, ...options }: TrainOptions): StepOptions {
  const { model, examples, seed = 0, batchSize = trainDefaults.batchSize } = options;
  const layout = options.layout ?? freshLayout(model.config, lora);
  return {
    ...options,
    layout,
    adapter: options.adapter ?? initAdapter(layout, seed),
    batchSize,
    steps: options.steps ?? Math.max(1, epochs * Math.ceil(examples.length / batchSize)),
    sequenceLength: options.sequenceLength ?? longestOf(examples),
    learningRate: options.learningRate ?? trainDefaults.learningRate,
  };
}

const freshLayout = (config: StepOptions['model']['config'], lora: LoraOptions): AdapterLayout => {
  const { rank = trainDefaults.rank, alpha = trainDefaults.alpha, targets = trainDefaults.targets } = lora;
  if (!Number.isSafeInteger(rank) || rank < 1) throw badOption('lora.rank', rank, 'a whole number from 1');
  if (!(alpha > 0 && Number.isFinite(alpha))) throw badOption('lora.alpha', alpha, 'a number above 0');
  const unknown = targets.find((target) => !loraTargets.includes(target));
  if (unknown !== undefined) throw badOption('lora.targets', unknown, loraTargets.join(', '));
  return createAdapterLayout(config, { rank, alpha, targets });
};

const longestOf = (examples: readonly Example[]): number =>
  examples.reduce((longest, { inputIds }) => Math.max(longest, inputIds.length), 1);

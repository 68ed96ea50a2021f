import { batches, type Example } from './data/index.ts';
import { fullSource } from './models/full-source.ts';
import type { ModelConfig } from './models/model.ts';
import { weightShapes } from './models/weight-shapes.ts';
import { decideCheckpointing } from './gradient-checkpointing.ts';
import { chooseDevice } from './devices/choose-device.ts';
import type { Device } from './session/device.ts';
import { SessionThread } from './session/session-thread.ts';
import { buildTrainingStep } from './training-step.ts';
import {
  badOption,
  checkLoopOptions,
  type Consumed,
  defaultThreads,
  type LoopOptions,
  trainedState,
  trainingLoop,
  type TrainStep,
} from './training-loop.ts';

export interface TrainFullOptions extends LoopOptions {
  readonly config: ModelConfig;
  /** Every weight by its Hugging Face name (`initWeights` makes fresh ones); left as they are. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly examples: readonly Example[];
  readonly seed?: number | undefined;
  readonly shuffle?: boolean | undefined;
  readonly device?: Device | undefined;
}

/** Trains every weight of a small model: the same graph, with all weights as inputs. Returns the trained weights. */
export async function* trainFull(
  options: TrainFullOptions,
): AsyncGenerator<TrainStep, Consumed & { readonly weights: ReadonlyMap<string, Float32Array> }, void> {
  const { config, weights, examples, batchSize, seed = 0, shuffle = true } = options;
  checkLoopOptions(options, config);
  const threads = options.threads ?? defaultThreads();
  const { provider } = await chooseDevice(options.device ?? 'auto', new Map(), threads);
  const source = fullSource(config);
  const optimizer = { clipGradNorm: options.clipGradNorm || undefined, weightDecay: options.weightDecay ?? 0 };
  const checkpointing = decideCheckpointing(options, config, fullSource, provider);
  const shapes = weightShapes(config);
  await using thread = new SessionThread({ provider, threads, keepsState: true });
  await thread.setState(
    trainedState(
      [...shapes].map(([name, shape]) => {
        const values = weights.get(name);
        if (!values) throw badOption('weights', `without ${name}`, 'every weight of the configuration');
        return [name, values, shape];
      }),
    ),
  );
  const consumed = yield* trainingLoop(
    thread,
    batches(examples, { batchSize, seed, shuffle })[Symbol.iterator](),
    config.vocabSize,
    (shape) => buildTrainingStep(config, { ...shape, checkpointing }, source, optimizer, provider.target),
    options,
  );
  return { weights: await thread.readState([...shapes.keys()]), ...consumed };
}

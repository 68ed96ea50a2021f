import { type AdapterLayout, gatherFactor, scatterFactor, type TrainedFactor } from '@weft/shared';
import { batches, type Example } from './data/index.ts';
import { frozenFactor, frozenInput, trainedInput } from './adapters/lora-inputs.ts';
import { loraSource } from './adapters/lora-source.ts';
import { frozenWeights } from './models/frozen-weights.ts';
import type { Model } from './models/model.ts';
import { type Device, providerFor } from './session/device.ts';
import type { WireTensor } from './session/messages.ts';
import { SessionThread } from './session/session-thread.ts';
import { buildTrainingStep } from './training-step.ts';
import {
  badOption,
  checkLoopOptions,
  defaultThreads,
  type LoopOptions,
  trainedState,
  trainingLoop,
  type TrainStep,
} from './training-loop.ts';

export interface TrainOptions extends LoopOptions {
  readonly model: Pick<Model, 'config' | 'tensors'>;
  readonly layout: AdapterLayout;
  /** Values in layout order; left as they are. */
  readonly adapter: Float32Array;
  readonly examples: readonly Example[];
  /** Which factor learns; the other keeps its bits. */
  readonly trains?: TrainedFactor | undefined;
  readonly seed?: number | undefined;
  /** Without it a batch is the next rows in order. */
  readonly shuffle?: boolean | undefined;
  readonly device?: Device | undefined;
}

export interface TrainResult {
  readonly adapter: Float32Array;
  /** Tokens without padding and rows that the steps consumed; what came twice counts twice. */
  readonly tokens: number;
  readonly examples: number;
}

/** Fine-tunes LoRA factors: yields after each step, returns the trained adapter. */
export async function* train(options: TrainOptions): AsyncGenerator<TrainStep, TrainResult, void> {
  const { model, layout, adapter, examples, trains = 'both', batchSize, seed = 0, shuffle = true } = options;
  checkLoopOptions(options, model.config);
  if (layout.size === 0) throw badOption('layout', 'without tensors', 'one with a target at least');
  if (adapter.length !== layout.size) throw badOption('adapter', `${adapter.length} values`, `${layout.size} values`);
  const provider = providerFor(options.device ?? 'auto');
  const weights = frozenWeights(model.tensors);
  const source = loraSource(weights, layout, trains);
  const optimizer = { clipGradNorm: options.clipGradNorm || undefined, weightDecay: options.weightDecay ?? 0 };
  const threads = options.threads ?? defaultThreads();
  await using thread = new SessionThread({ provider, threads, weightsFolder: weights.folder });
  await thread.setState(adapterState(layout, adapter, trains));
  const consumed = yield* trainingLoop(
    thread,
    batches(examples, { batchSize, seed, shuffle })[Symbol.iterator](),
    model.config.vocabSize,
    (shape) => buildTrainingStep(model.config, shape, source, optimizer, provider.target),
    options,
  );
  const trained = (await thread.readState([trainedInput])).get(trainedInput) ?? new Float32Array();
  return { adapter: scatterFactor(layout, adapter, trains, trained), ...consumed };
}

function adapterState(layout: AdapterLayout, adapter: Float32Array, trains: TrainedFactor): WireTensor[] {
  const values = gatherFactor(layout, adapter, trains);
  const frozen = frozenFactor(trains);
  const still = frozen && gatherFactor(layout, adapter, frozen);
  return [
    ...trainedState([[trainedInput, values, [values.length]]]),
    ...(still ? [{ name: frozenInput, shape: [still.length], data: still }] : []),
  ];
}

import type { AdapterLayout } from '@weft/shared';
import type { Example } from './data/index.ts';
import { trainedInput } from './adapters/lora-inputs.ts';
import { loraSource } from './adapters/lora-source.ts';
import { trainingWeights } from './models/training-weights.ts';
import type { Model } from './models/model.ts';
import { chooseDevice } from './devices/choose-device.ts';
import type { Device } from './session/device.ts';
import { createScorer, type Evaluation } from './score-examples.ts';
import { SessionThread } from './session/session-thread.ts';
import { explainDivergence } from './weights/not-finite.ts';
import { buildEvaluation } from './training-step.ts';
import { badOption, defaultThreads } from './training-loop.ts';

export interface EvaluateOptions {
  readonly model: Pick<Model, 'config' | 'tensors' | 'quantised'>;
  /** Layout and values of an adapter; without them the base model is scored. */
  readonly layout?: AdapterLayout | undefined;
  readonly adapter?: Float32Array | undefined;
  readonly examples: readonly Example[];
  readonly batchSize?: number | undefined;
  readonly threads?: number | undefined;
  readonly device?: Device | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Scores examples with the forward pass alone. */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  const { model, layout, adapter, batchSize = 4 } = options;
  if (!Number.isSafeInteger(batchSize) || batchSize < 1)
    throw badOption('batchSize', batchSize, 'a whole number from 1');
  if (adapter?.length !== layout?.size) {
    throw badOption('adapter', `${adapter?.length ?? 'no'} values`, `${layout?.size ?? 'no'} values`);
  }
  const threads = options.threads ?? defaultThreads();
  const { provider } = await chooseDevice(options.device ?? 'auto', model.quantised ?? model.tensors, threads);
  const weights = await trainingWeights(model);
  const source = loraSource(weights, layout, 'both');
  await using thread = new SessionThread({ provider, threads, weightsFolder: weights.folder, keepsState: true });
  if (adapter) await thread.setState([{ name: trainedInput, shape: [adapter.length], data: adapter }]);
  const score = createScorer(thread, {
    examples: options.examples,
    batchSize,
    config: model.config,
    build: (shape) => buildEvaluation(model.config, shape, source, provider.target),
    signal: options.signal,
  });
  return await score().catch((error: unknown) => explainDivergence(error, model.tensors));
}

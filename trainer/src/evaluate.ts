import { type AdapterLayout, WeftError } from '@weft/shared';
import type { Example } from './data/index.ts';
import { trainedInput } from './adapters/lora-inputs.ts';
import { loraSource } from './adapters/lora-source.ts';
import { frozenWeights } from './models/frozen-weights.ts';
import type { Model } from './models/model.ts';
import { encodeBatch } from './objectives/causal-lm.ts';
import { bucketFor } from './objectives/sequence-buckets.ts';
import { chooseDevice } from './devices/choose-device.ts';
import type { Device } from './session/device.ts';
import { SessionThread } from './session/session-thread.ts';
import { explainDivergence } from './weights/not-finite.ts';
import { buildEvaluation } from './training-step.ts';
import { badOption, batchFeeds, defaultThreads } from './training-loop.ts';

export interface EvaluateOptions {
  readonly model: Pick<Model, 'config' | 'tensors'>;
  /** Layout and values of an adapter; without them the base model is scored. */
  readonly layout?: AdapterLayout | undefined;
  readonly adapter?: Float32Array | undefined;
  readonly examples: readonly Example[];
  readonly batchSize?: number | undefined;
  readonly threads?: number | undefined;
  readonly device?: Device | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Sum of the losses of all counted tokens, in nats, and their number. */
export interface Evaluation {
  readonly lossSum: number;
  readonly tokens: number;
}

/** Scores examples with the forward pass alone. */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  const { model, layout, adapter, signal, batchSize = 4 } = options;
  if (!Number.isSafeInteger(batchSize) || batchSize < 1)
    throw badOption('batchSize', batchSize, 'a whole number from 1');
  if (adapter?.length !== layout?.size) {
    throw badOption('adapter', `${adapter?.length ?? 'no'} values`, `${layout?.size ?? 'no'} values`);
  }
  const threads = options.threads ?? defaultThreads();
  const { provider } = await chooseDevice(options.device ?? 'auto', model.tensors, threads);
  const weights = frozenWeights(model.tensors);
  const source = loraSource(weights, layout, 'both');
  // Rows of like length share a batch, so that little is computed for padding; a sum does not mind the order.
  const examples = options.examples.toSorted((a, b) => a.inputIds.length - b.inputIds.length);
  const longest = examples.at(-1)?.inputIds.length ?? 0;
  await using thread = new SessionThread({ provider, threads, weightsFolder: weights.folder });
  if (adapter) await thread.setState([{ name: trainedInput, shape: [adapter.length], data: adapter }]);
  const opened = new Set<number>();
  let lossSum = 0;
  let tokens = 0;
  for (let start = 0; start < examples.length; start += batchSize) {
    signal?.throwIfAborted();
    const rows = examples.slice(start, start + batchSize);
    const sequenceLength = bucketFor(rows.at(-1)?.inputIds.length ?? 0, longest);
    const batch = encodeBatch(rows, { batchSize, sequenceLength, vocabSize: model.config.vocabSize, reduction: 'sum' });
    if (batch.countedTokens === 0) continue;
    const session = `evaluation-${sequenceLength}`;
    if (!opened.has(sequenceLength)) {
      await thread.open(session, buildEvaluation(model.config, { batchSize, sequenceLength }, source, provider.target));
      opened.add(sequenceLength);
    }
    const loss = (await thread.run(session, batchFeeds(batch))).get('loss')?.[0] ?? Number.NaN;
    if (!Number.isFinite(loss)) {
      const what = `evaluation: the loss is ${loss}; the adapter or the device (try cpu) gives values beyond float32`;
      await explainDivergence(new WeftError('WEFT_TRAINING_DIVERGED', what, { loss }), model.tensors);
    }
    lossSum += loss;
    tokens += batch.countedTokens;
  }
  if (tokens === 0) {
    const what = `evaluation: none of the tokens in ${examples.length} examples counts`;
    throw new WeftError('WEFT_TRAINING_NOTHING_COUNTED', what, { examples: examples.length });
  }
  return { lossSum, tokens };
}

import { WeftError } from '@weft/shared';
import type { Example } from './data/index.ts';
import type { BatchShape } from './models/llama.ts';
import type { ModelConfig } from './models/model.ts';
import { encodeBatch } from './objectives/causal-lm.ts';
import { bucketFor } from './objectives/sequence-buckets.ts';
import type { SessionThread } from './session/session-thread.ts';
import { batchFeeds } from './training-loop.ts';

/** Sum of the losses of all counted tokens, in nats, and their number. */
export interface Evaluation {
  readonly lossSum: number;
  readonly tokens: number;
}

export interface Scoring {
  readonly examples: readonly Example[];
  readonly batchSize: number;
  readonly config: Pick<ModelConfig, 'vocabSize' | 'maxPositions'>;
  /** Writes the model that gives the loss of a batch. */
  readonly build: (shape: BatchShape) => Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

/** Scores the same examples as often as it is asked, on what the thread's state is then; sessions stay open. */
export function createScorer(thread: SessionThread, scoring: Scoring): () => Promise<Evaluation> {
  const { batchSize, config, build, signal } = scoring;
  const { vocabSize, maxPositions } = config;
  // Rows of like length share a batch, so that little is computed for padding; a sum does not mind the order.
  const examples = scoring.examples.toSorted((a, b) => a.inputIds.length - b.inputIds.length);
  const longest = examples.at(-1)?.inputIds.length ?? 0;
  if (longest > maxPositions) {
    const what = `an example has ${longest} tokens, and the model ${maxPositions} positions`;
    throw new WeftError('WEFT_TRAINING_BAD_EXAMPLE', what, { tokens: longest, maxPositions });
  }
  const opened = new Set<string>();
  return async () => {
    let lossSum = 0;
    let tokens = 0;
    for (let start = 0; start < examples.length; start += batchSize) {
      signal?.throwIfAborted();
      const rows = examples.slice(start, start + batchSize);
      const sequenceLength = bucketFor(rows.at(-1)?.inputIds.length ?? 0, longest);
      const batch = encodeBatch(rows, { batchSize, sequenceLength, vocabSize, reduction: 'sum' });
      if (batch.countedTokens === 0) continue;
      const isPacked = batch.packing !== undefined;
      const session = `evaluation-${sequenceLength}${isPacked ? '-packed' : ''}`;
      if (!opened.has(session)) {
        await thread.open(session, build({ batchSize, sequenceLength, isPacked }));
        opened.add(session);
      }
      const loss = (await thread.run(session, batchFeeds(batch))).get('loss')?.[0] ?? Number.NaN;
      if (!Number.isFinite(loss)) {
        const what = `evaluation: the loss is ${loss}; the adapter or the device (try cpu) gives values beyond float32`;
        throw new WeftError('WEFT_TRAINING_DIVERGED', what, { loss });
      }
      lossSum += loss;
      tokens += batch.countedTokens;
    }
    if (tokens === 0) {
      const what = `evaluation: none of the tokens in ${examples.length} examples counts`;
      throw new WeftError('WEFT_TRAINING_NOTHING_COUNTED', what, { examples: examples.length });
    }
    return { lossSum, tokens };
  };
}

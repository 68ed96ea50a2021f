import { WeftError } from '@weft/shared';
import type { Example } from '../data/index.ts';
import type { Graph } from '../graph/graph.ts';
import { sizeAt } from '../graph/shape.ts';
import type { Value } from '../graph/types.ts';
import type { VocabularyHead } from '../models/llama.ts';
import { add, split } from '../ops/calls.ts';

/**
 * Logits of one chunk of rows take at most this much memory: a vocabulary is wide, and the probabilities stand beside
 * them at a step's peak. Each chunk packs the head's weight anew, so that far smaller ones would cost time.
 */
const chunkBytes = 16 * 1024 * 1024;

/**
 * Σ rowWeights·cross-entropy over hidden states [rows, hidden] and the vocabulary head. The rows go through the
 * head in chunks; each chunk's gradient needs only its own logits, which are gone before the next one's.
 */
export function causalLmLoss(hidden: Value, head: VocabularyHead, targets: Value, rowWeights: Value): Value {
  const rows = sizeAt(hidden, 0);
  const rowsPerChunk = Math.max(32, Math.floor(chunkBytes / 4 / head.vocabSize));
  const count = Math.ceil(rows / rowsPerChunk);
  const sizes = Array.from(
    { length: count },
    (_, i) => Math.floor(((i + 1) * rows) / count) - Math.floor((i * rows) / count),
  );
  const [hiddenChunks, targetChunks, weightChunks] = [hidden, targets, rowWeights].map((value) =>
    split(value, 0, sizes),
  );
  const losses = sizes.map((_, i) => {
    const [h, t, w] = [hiddenChunks?.[i], targetChunks?.[i], weightChunks?.[i]];
    if (!h || !t || !w) throw new RangeError(`there is no chunk ${i}`);
    return head.loss(h, t, w);
  });
  return losses.reduce((total, loss) => add(total, loss));
}

export const batchInputs = (graph: Graph, rows: number): { inputIds: Value; targets: Value; rowWeights: Value } => ({
  inputIds: graph.input('inputIds', 'int32', [rows]),
  targets: graph.input('targets', 'int32', [rows]),
  rowWeights: graph.input('rowWeights', 'float32', [rows]),
});

export interface EncodedBatch {
  readonly sequenceLength: number;
  /** [batch·seq] each; padding is token 0 at the right, with weight 0. */
  readonly inputIds: Int32Array;
  readonly targets: Int32Array;
  readonly rowWeights: Float32Array;
  /** Of packed rows: each token's example and its position in it. */
  readonly packing: { readonly segments: Float32Array; readonly positions: Int32Array } | undefined;
  /** Tokens that count in the loss. */
  readonly countedTokens: number;
  /** Tokens without padding. */
  readonly realTokens: number;
}

const ignoredLabel = -100;

/**
 * Pads rows to a batch of fixed size and shifts the labels. Weights are 1 for `sum`; for `mean` 1/N over the whole
 * batch's N counted tokens.
 */
export function encodeBatch(
  rows: readonly Example[],
  {
    batchSize,
    sequenceLength,
    vocabSize,
    reduction,
  }: { batchSize: number; sequenceLength: number; vocabSize: number; reduction: 'mean' | 'sum' },
): EncodedBatch {
  const inputIds = new Int32Array(batchSize * sequenceLength);
  const targets = new Int32Array(batchSize * sequenceLength);
  const rowWeights = new Float32Array(batchSize * sequenceLength);
  const packing = rows.some(({ segmentLengths }) => segmentLengths)
    ? packingOf(rows, batchSize, sequenceLength)
    : undefined;
  let countedTokens = 0;
  let realTokens = 0;
  for (const [row, { inputIds: ids, labels }] of rows.entries()) {
    if (ids.length !== labels.length || ids.length > sequenceLength) {
      throw new WeftError(
        'WEFT_TRAINING_BAD_EXAMPLE',
        `an example has ${ids.length} tokens and ${labels.length} labels, and the sequence length is ${sequenceLength}`,
        { tokens: ids.length, labels: labels.length, sequenceLength },
      );
    }
    realTokens += ids.length;
    for (const [position, id] of ids.entries()) {
      const at = row * sequenceLength + position;
      inputIds[at] = checkedId(id, vocabSize);
      const label = labels[position + 1] ?? ignoredLabel;
      if (label === ignoredLabel) continue;
      targets[at] = checkedId(label, vocabSize);
      rowWeights[at] = 1;
      countedTokens++;
    }
  }
  if (reduction === 'mean' && countedTokens > 0) {
    for (const [at, weight] of rowWeights.entries()) rowWeights[at] = weight / countedTokens;
  }
  return { sequenceLength, inputIds, targets, rowWeights, packing, countedTokens, realTokens };
}

/** A row that is not packed is one example. */
function packingOf(rows: readonly Example[], batchSize: number, sequenceLength: number): EncodedBatch['packing'] {
  const segments = new Float32Array(batchSize * sequenceLength);
  const positions = new Int32Array(batchSize * sequenceLength);
  for (const [row, { inputIds, segmentLengths = [inputIds.length] }] of rows.entries()) {
    let at = row * sequenceLength;
    for (const [index, length] of segmentLengths.entries()) {
      for (let position = 0; position < length; position++, at++) {
        segments[at] = index + 1;
        positions[at] = position;
      }
    }
  }
  return { segments, positions };
}

function checkedId(id: number, vocabSize: number): number {
  if (id >= 0 && id < vocabSize) return id;
  throw new WeftError('WEFT_TRAINING_BAD_EXAMPLE', `an example has token ${id}, and the vocabulary has ${vocabSize}`, {
    id,
    vocabSize,
  });
}

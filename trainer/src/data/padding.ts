import { bucketFor } from '../objectives/sequence-buckets.ts';
import type { Example } from './encode-records.ts';
import { batches, type BatchOptions } from './batches.ts';
import { packedRows } from './pack-examples.ts';

/** What one pass over the examples computes, padding included, in tokens. */
export interface Padding {
  readonly computedTokens: number;
  /** The same with examples packed. */
  readonly packedTokens: number;
}

/** Counts the batches of the first epoch, as they will be drawn. */
export function measurePadding(
  examples: readonly Example[],
  { sequenceLength, ...options }: BatchOptions & { readonly sequenceLength: number },
): Padding {
  const drawn = batches(examples, options);
  let computedTokens = 0;
  const count = Math.ceil(examples.length / options.batchSize);
  for (let batch = 0; batch < count; batch++) {
    const lengths = drawn.next().value.map(({ inputIds }) => inputIds.length);
    computedTokens += options.batchSize * bucketFor(Math.max(...lengths), sequenceLength);
  }
  const rows = packedRows(
    examples.map(({ inputIds }) => inputIds.length),
    sequenceLength,
  );
  return { computedTokens, packedTokens: Math.ceil(rows / options.batchSize) * options.batchSize * sequenceLength };
}

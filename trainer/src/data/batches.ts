import { WeftError } from '@weft/shared';
import type { Example } from './encode-records.ts';
import { randomOrder } from './random-order.ts';

export interface BatchOptions {
  readonly batchSize: number;
  readonly seed: number;
  /** False: the next rows in order. True: each epoch in an order of its own, drawn from the seed. */
  readonly shuffle: boolean;
}

/**
 * Batches without end, always full: one epoch's rows follow the other's, so a batch may hold the last rows of one and
 * the first of the next, and with fewer rows than `batchSize` a row comes twice.
 */
export function* batches(
  examples: readonly Example[],
  { batchSize, seed, shuffle }: BatchOptions,
): Generator<Example[], never> {
  if (examples.length === 0) throw new WeftError('WEFT_DATA_EMPTY', 'there is no row to train on');
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new WeftError('WEFT_USAGE', `a batch has ${batchSize} rows, 1 is the least`, { batchSize });
  const rows = rowsForever(examples, seed, shuffle);
  for (;;) yield Array.from({ length: batchSize }, () => rows.next().value);
}

function* rowsForever(examples: readonly Example[], seed: number, shuffle: boolean): Generator<Example, never> {
  for (let epoch = 0; ; epoch++) {
    const order = shuffle ? randomOrder(examples.length, `${seed}.${epoch}`) : examples.keys();
    for (const row of order) yield examples[row] as Example;
  }
}

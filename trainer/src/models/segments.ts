import type { Graph } from '../graph/graph.ts';
import { sizeAt } from '../graph/shape.ts';
import type { Value } from '../graph/types.ts';
import { min, mul, reshape, scalar, slice, type Span, sub } from '../ops/calls.ts';
import type { BatchShape } from './llama.ts';

/** Of a batch whose rows are made of several examples. */
export interface Segments {
  /** Float32 [batch, seq]: the number of the example within its row, from 1; padding has 0. */
  readonly ids: Value;
  /** Int32 [batch, seq]: positions within the example, from 0. */
  readonly positions: Value;
}

export const segmentInputs = (graph: Graph, { batchSize, sequenceLength }: BatchShape): Segments => ({
  ids: graph.input('segments', 'float32', [batchSize, sequenceLength]),
  positions: graph.input('positions', 'int32', [batchSize, sequenceLength]),
});

/** [batch, 1, queries, keys]: 0 between tokens of one example, −1e9 (zero after the softmax) between those of two. */
export function segmentMask({ ids }: Segments, queries: Span, keys: Span): Value {
  const batch = sizeAt(ids, 0);
  const column = reshape(slice(ids, 1, queries), [batch, 1, queries.end - queries.start, 1]);
  const apart = sub(column, reshape(slice(ids, 1, keys), [batch, 1, 1, keys.end - keys.start]));
  return mul(min(mul(apart, apart), scalar(apart, 1)), scalar(apart, -1e9));
}

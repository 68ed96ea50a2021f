import type { Graph } from '../graph/graph.ts';
import { GraphError, sizeAt } from '../graph/shape.ts';
import type { Value } from '../graph/types.ts';
import { add, concat, min, mul, reshape, scalar, slice, softmax, type Span, split, sub } from '../ops/calls.ts';
import { activationProduct } from '../ops/mixed-precision.ts';
import { type Segments, segmentMask } from './segments.ts';

/** Each [batch, kvHeads, positions, headDim]. */
export interface KeyValues {
  readonly keys: Value;
  readonly values: Value;
}

/**
 * softmax(α·q·kᵀ + mask)·v with grouped queries (Ainslie et al. 2023): queries [batch, heads, seq, headDim], keys and
 * values in one part or several that follow each other, the mask [seq, positions of all parts]. Queries that share a key
 * head stand below each other, [batch, kvHeads, group·seq, headDim], so that keys and values are never repeated.
 */
export function attend(queries: Value, parts: readonly KeyValues[], mask: Value, alpha: number): Value {
  const [batch, heads, seq, headDim] = [0, 1, 2, 3].map((axis) => sizeAt(queries, axis));
  const kvHeads = parts[0] && sizeAt(parts[0].keys, 1);
  if (batch === undefined || !heads || !seq || !headDim || !kvHeads) throw new GraphError('attention over nothing');
  const q = reshape(queries, [batch, kvHeads, (heads / kvHeads) * seq, headDim]);
  const lengths = parts.map(({ keys }) => sizeAt(keys, 2));
  const length = lengths.reduce((total, part) => total + part);
  const [first, ...rest] = parts.map(({ keys }) => activationProduct(q, keys, { transB: true, alpha }));
  if (!first) throw new GraphError('attention over nothing');
  const scores = reshape(concat([first, ...rest], 3), [batch, heads, seq, length]);
  const probabilities = reshape(softmax(add(scores, mask)), [batch, kvHeads, (heads / kvHeads) * seq, length]);
  const mixed = split(probabilities, 3, lengths)
    .flatMap((part, index) => (parts[index] ? [activationProduct(part, parts[index].values)] : []))
    .reduce((total, part) => add(total, part)); // [batch, kvHeads, group·seq, headDim]
  return reshape(mixed, [batch, heads, seq, headDim]);
}

/**
 * Causal attention, a block of queries after the other: each multiplies only the keys that it may see, which spares almost
 * half of the work on a long sequence, and no [seq, seq] scores of all heads stand in memory at once.
 */
export function attendCausally(
  queries: Value,
  { keys, values }: KeyValues,
  alpha: number,
  { queryBlock, maskOf }: { readonly queryBlock: number; readonly maskOf: CausalMask },
): Value {
  const seq = sizeAt(queries, 2);
  const count = Math.ceil(seq / queryBlock);
  const spans = Array.from({ length: count }, (_, block): Span => ({
    start: Math.floor((block * seq) / count),
    end: Math.floor(((block + 1) * seq) / count),
  }));
  const blocks = split(
    queries,
    2,
    spans.map(({ start, end }) => end - start),
  );
  const [first, ...rest] = spans.flatMap((span, index) => {
    const block = blocks[index];
    if (!block) return [];
    const visible = { start: Math.max(0, span.start + 1 - maskOf.window), end: span.end };
    const mask = maskOf.between(span, visible);
    // The probabilities of all layers are large, and for the backward pass quickly computed again.
    return [
      maskOf.graph.checkpoint(() => {
        const seen = { keys: slice(keys, 2, visible), values: slice(values, 2, visible) };
        return attend(block, [seen], mask, alpha);
      }),
    ];
  });
  if (!first) throw new GraphError('attention over nothing');
  return concat([first, ...rest], 2);
}

/** A token sees itself and the `window` − 1 before it, as far as they are in its segment. */
export class CausalMask {
  readonly window: number;
  readonly graph: Graph;
  readonly #segments: Segments | undefined;
  readonly #masks = new Map<string, Value>();

  constructor(graph: Graph, window: number, segments: Segments | undefined) {
    this.graph = graph;
    this.window = window;
    this.#segments = segments;
  }

  /**
   * [queries, keys], or [batch, 1, queries, keys] with segments: 0 where a query may look; −1e9 and less, which the softmax
   * makes zero, elsewhere. Computed in the graph, since it grows with the square of the sequence and a file should not.
   */
  between(queries: Span, keys: Span): Value {
    const offset = queries.start - keys.start;
    const [rows, columns] = [queries.end - queries.start, keys.end - keys.start];
    const key = [rows, columns, offset, this.#segments && queries.start].join();
    const known = this.#masks.get(key);
    if (known) return known;
    const column = this.graph.constant(
      Float32Array.from({ length: rows }, (_, row) => row + offset),
      [rows, 1],
    );
    const row = this.graph.constant(
      Float32Array.from({ length: columns }, (_, position) => position),
      [1, columns],
    );
    const back = sub(column, row); // how far back a query looks
    const ahead = min(back, scalar(back, 0));
    const windowed = offset + rows > this.window ? min(ahead, sub(scalar(back, this.window - 1), back)) : ahead;
    const causal = mul(windowed, scalar(windowed, 1e9));
    const mask = this.#segments ? add(causal, segmentMask(this.#segments, queries, keys)) : causal;
    this.#masks.set(key, mask);
    return mask;
  }
}

import { serialise } from '../graph/serialise.ts';
import type { EmitTarget } from '../graph/types.ts';
import { buildLlama, headName, type ParameterSource, plainLinear } from '../models/llama.ts';
import type { ModelConfig } from '../models/model.ts';
import { gatherRows } from '../ops/calls.ts';
import { createGraph } from '../ops/table.ts';
import { appendedState, type WireTensor } from '../session/messages.ts';

export interface DecodingShape {
  /** Tokens a run: one when generating, more when reading a prompt. */
  readonly rows: number;
  /** Positions that the cache holds. */
  readonly capacity: number;
}

export const keysOf = (layer: number): string => `keys.${layer}`;
export const valuesOf = (layer: number): string => `values.${layer}`;

/** The logits [1, vocab] that follow one of the rows, given the cached positions before them. */
export function buildDecoding(
  config: ModelConfig,
  { rows, capacity }: DecodingShape,
  source: ParameterSource,
  target: EmitTarget,
): Uint8Array<ArrayBuffer> {
  const graph = createGraph();
  const inputIds = graph.input('inputIds', 'int32', [rows]);
  const lastRow = graph.input('lastRow', 'int32', [1]);
  const cacheShape = [1, config.kvHeads, capacity, config.headDim];
  const maskShape = [rows, capacity + rows];
  const mask = graph.input('mask', 'float32', maskShape);
  const windowMask = graph.input('windowMask', 'float32', maskShape);
  const parameters = source.parametersIn(graph);
  const hidden = buildLlama(graph, config, { batchSize: 1, sequenceLength: rows }, inputIds, parameters, {
    capacity,
    firstPosition: graph.input('firstPosition', 'int32', [1]),
    mask: (layer) => (config.slidingWindow?.layers.includes(layer) ? windowMask : mask),
    read: (layer) => ({
      keys: graph.input(keysOf(layer), 'float32', cacheShape),
      values: graph.input(valuesOf(layer), 'float32', cacheShape),
    }),
    append(layer, { keys, values }) {
      graph.output(appendedState(keysOf(layer)), keys);
      graph.output(appendedState(valuesOf(layer)), values);
    },
  });
  const last = gatherRows(hidden, lastRow); // [1, hidden]
  graph.output('logits', plainLinear(parameters, last, headName(config)));
  return serialise(graph, target);
}

/** An empty cache, as state of a session thread. */
export const emptyCache = ({ layers, kvHeads, headDim }: ModelConfig, capacity: number): WireTensor[] =>
  Array.from({ length: layers }, (_, layer) => [keysOf(layer), valuesOf(layer)])
    .flat()
    .map((name) => ({
      name,
      shape: [1, kvHeads, capacity, headDim],
      data: new Float32Array(kvHeads * capacity * headDim),
    }));

/** The inputs of a run over `ids`, at most `rows` of them, when `position` positions are cached. */
export function decodingFeeds(
  { slidingWindow }: ModelConfig,
  ids: readonly number[],
  position: number,
  { rows, capacity }: DecodingShape,
): WireTensor[] {
  const inputIds = new Int32Array(rows);
  inputIds.set(ids);
  const shape = [rows, capacity + rows];
  const windowMask = slidingWindow && decodingMask(position, { rows, capacity }, slidingWindow.size);
  return [
    { name: 'inputIds', shape: [rows], data: inputIds },
    { name: 'lastRow', shape: [1], data: Int32Array.of(ids.length - 1) },
    { name: 'firstPosition', shape: [1], data: Int32Array.of(position) },
    { name: 'mask', shape, data: decodingMask(position, { rows, capacity }, Infinity) },
    ...(windowMask ? [{ name: 'windowMask', shape, data: windowMask }] : []),
  ];
}

/** [rows, capacity + rows]: 0 at a row's own position and the `window` − 1 before it, −1e9 elsewhere. */
function decodingMask(position: number, { rows, capacity }: DecodingShape, window: number): Float32Array {
  const width = capacity + rows;
  const mask = new Float32Array(rows * width).fill(-1e9);
  for (let row = 0; row < rows; row++) {
    const start = row * width;
    // Cached positions that are filled, then the rows of this run.
    mask.fill(0, start + Math.min(position, Math.max(0, position + row + 1 - window)), start + position);
    mask.fill(0, start + capacity + Math.max(0, row + 1 - window), start + capacity + row + 1);
  }
  return mask;
}

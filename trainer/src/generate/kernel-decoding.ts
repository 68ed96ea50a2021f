import { serialise } from '../graph/serialise.ts';
import { openLength } from '../graph/shape.ts';
import { sideBySide } from '../models/block-source.ts';
import { buildLlama, headName, type ParameterSource, plainLinear } from '../models/llama.ts';
import type { ModelConfig } from '../models/model.ts';
import { cachedAttention, gatherRows } from '../ops/calls.ts';
import { createGraph } from '../ops/table.ts';
import { nextState } from '../optim/adamw.ts';
import type { WireTensor } from '../session/messages.ts';
import { keysOf, valuesOf } from './decoding-graph.ts';

/** GroupQueryAttention takes heads of whole sixteens when it rotates them. */
export const fitsKernel = ({ headDim }: ModelConfig): boolean => headDim % 16 === 0;

/**
 * The logits [1, vocab] that follow the last of some rows, given the cached positions before them: with the CPU's own
 * kernels, for any number of rows. Keys and values are state, written in place.
 */
export function buildKernelDecoding(
  config: ModelConfig,
  capacity: number,
  source: ParameterSource,
): Uint8Array<ArrayBuffer> {
  const graph = createGraph();
  const inputIds = graph.input('inputIds', 'int32', [openLength]);
  const lastRow = graph.input('lastRow', 'int32', [1]);
  const last = graph.input('lastPosition', 'int32', [1]);
  const total = graph.input('positions', 'int32', [1]);
  const cacheShape = [1, config.kvHeads, capacity, config.headDim];
  const parameters = source.parametersIn(graph);
  const hidden = buildLlama(graph, config, { batchSize: 1, sequenceLength: openLength }, inputIds, parameters, {
    attend(layer, { queries, keys, values }, attributes) {
      const cache = {
        keys: graph.input(keysOf(layer), 'float32', cacheShape),
        values: graph.input(valuesOf(layer), 'float32', cacheShape),
        last,
        total,
      };
      const [mixed = queries, nextKeys, nextValues] = cachedAttention(
        cache,
        sideBySide([queries, keys, values]),
        attributes,
      );
      if (nextKeys) graph.output(nextState(keysOf(layer)), nextKeys);
      if (nextValues) graph.output(nextState(valuesOf(layer)), nextValues);
      return mixed;
    },
  });
  graph.output('logits', plainLinear(parameters, gatherRows(hidden, lastRow), headName(config)));
  return serialise(graph, 'cpu');
}

/** The inputs of a run over `ids` when `position` positions are cached. */
export function kernelFeeds(ids: readonly number[], position: number): WireTensor[] {
  const one = (name: string, value: number): WireTensor => ({ name, shape: [1], data: Int32Array.of(value) });
  return [
    { name: 'inputIds', shape: [ids.length], data: Int32Array.from(ids) },
    one('lastRow', ids.length - 1),
    one('lastPosition', position + ids.length - 1),
    one('positions', position + ids.length),
  ];
}

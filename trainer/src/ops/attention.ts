import { describe, GraphError, isOpen, sizeAt } from '../graph/shape.ts';
import type { Operator } from '../graph/types.ts';
import type { AttentionAttributes } from './calls.ts';
import { inputAt } from './elementwise.ts';
import { rotationTables } from './rotary.ts';

/**
 * Causal attention with grouped queries over a cache, in one kernel of ONNX Runtime on the CPU; nothing differentiates
 * it. Inputs: keys and values of the cache [1, kvHeads, capacity, headDim], the last row's position, int32 [1], the
 * number of positions with the rows, int32 [1], and the rows' queries, keys and values [rows, heads·headDim], or all
 * three side by side. Outputs: [rows, heads·headDim], and the cache with the rows in it; fed and fetched as the same
 * tensor it is written in place.
 */
export const cachedAttention: Operator<AttentionAttributes> = {
  types(inputs, { heads, headDim }) {
    const [keys, values, queries] = [inputAt(inputs, 0), inputAt(inputs, 1), inputAt(inputs, 4)];
    if (queries.shape.length !== 2) throw new GraphError(`${describe(queries)} are no rows of queries`);
    return [{ dtype: 'float32', shape: [sizeAt(queries, 0), heads * headDim] }, keys, values];
  },
  emit(onnx, { inputs, inputTypes, outputs: [output = '', nextKeys = '', nextValues = ''] }, attributes) {
    const [keys = '', values = '', last = '', total = '', ...rows] = inputs;
    const { heads, kvHeads, headDim, scale, rotation, window } = attributes;
    const lengthOf = (length: number): bigint => (isOpen(length) ? -1n : BigInt(length));
    // [1, rows, width]
    const [queries = '', ownKeys = '', ownValues = ''] = rows.map((row, index) => {
      const [length = 0, width = 0] = inputAt(inputTypes, 4 + index).shape;
      return onnx.node('Reshape', [row, onnx.constant(BigInt64Array.of(1n, lengthOf(length), BigInt(width)), [3])]);
    });
    const capacity = sizeAt(inputAt(inputTypes, 0), 2);
    const tables = rotation && rotationTables(onnx, capacity, headDim, { ...rotation, scale: 1 });
    const mixed = onnx.name();
    onnx.nodeWithOutputs(
      'GroupQueryAttention',
      [queries, ownKeys, ownValues, keys, values, last, total, ...(tables ? [tables.cos, tables.sin] : [])],
      [mixed, nextKeys, nextValues],
      {
        domain: 'com.microsoft',
        attributes: {
          num_heads: heads,
          kv_num_heads: kvHeads,
          do_rotary: tables ? 1 : 0,
          scale: { float: scale },
          ...(window === undefined ? {} : { local_window_size: window }),
        },
      },
    );
    const rowLength = sizeAt(inputAt(inputTypes, 4), 0);
    const shape = onnx.constant(BigInt64Array.of(lengthOf(rowLength), BigInt(heads * headDim)), [2]);
    onnx.node('Reshape', [mixed, shape], { output });
  },
};

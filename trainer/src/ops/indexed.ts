/** Operators that read or write at indices. */
import { describe, GraphError, sizeAt } from '../graph/shape.ts';
import type { Operator, TensorType } from '../graph/types.ts';
import { scatterRows as scattered } from './calls.ts';
import { inputAt } from './elementwise.ts';

export const isIndex = ({ dtype }: TensorType): boolean => dtype === 'int32' || dtype === 'int64';

export const gatherRows: Operator = {
  types(inputs) {
    const [table, indices] = [inputAt(inputs, 0), inputAt(inputs, 1)];
    if (!isIndex(indices)) throw new GraphError(`${describe(indices)} is no list of indices`);
    return [{ dtype: table.dtype, shape: [sizeAt(indices, 0), sizeAt(table, 1)] }];
  },
  emit: (onnx, { inputs, outputs: [output = ''] }) => onnx.node('Gather', inputs, { output, attributes: { axis: 0 } }),
  saves: { inputs: [1] },
  /** A row's gradient is the sum over the places where it was read. */
  gradient: ({ input, delta, inputTypes }) => [() => scattered(delta, input(1), sizeAt(inputAt(inputTypes, 0), 0))],
};

// The rows below occur only in backward passes: nothing differentiates them.

export const scatterRows: Operator<{ count: number }> = {
  types: (inputs, { count }) => [{ dtype: 'float32', shape: [count, sizeAt(inputAt(inputs, 0), 1)] }],
  /** ScatterElements, not ScatterND: the latter adds in parallel, so that repeated indices race on CPU. */
  emit(onnx, { inputs: [rows = '', indices = ''], inputTypes, outputs: [output = ''] }, { count }) {
    const shape = inputAt(inputTypes, 0).shape; // [n, width]
    const column = onnx.node('Unsqueeze', [indices, onnx.constant(BigInt64Array.of(1n), [1])]);
    const everyColumn = onnx.node('Expand', [column, onnx.constant(BigInt64Array.from(shape, BigInt), [2])]);
    const size = BigInt64Array.of(BigInt(count), BigInt(sizeAt(inputAt(inputTypes, 0), 1)));
    // Expand, not ConstantOfShape: WebGPU has none.
    const zeros = onnx.node('Expand', [onnx.constant(Float32Array.of(0), []), onnx.constant(size, [2])]);
    onnx.node('ScatterElements', [zeros, everyColumn, rows], { output, attributes: { axis: 0, reduction: 'add' } });
  },
};

export const setAtColumns: Operator = {
  types: (inputs) => [inputAt(inputs, 0)],
  emit(onnx, { inputs: [matrix = '', targets = '', values = ''], outputs: [output = ''] }) {
    const columns = onnx.node('Unsqueeze', [targets, onnx.constant(BigInt64Array.of(1n), [1])]); // [n, 1]
    onnx.node('ScatterElements', [matrix, columns, values], { output, attributes: { axis: 1 } });
  },
};

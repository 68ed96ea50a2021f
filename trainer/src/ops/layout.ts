/** Operators that move values and change none. */
import { describe, elementCount, GraphError, isOpen, sizeAt } from '../graph/shape.ts';
import type { Operator, TensorType, Value } from '../graph/types.ts';
import {
  concat as joined,
  pad as padded,
  reshape as reshaped,
  split as cut,
  transpose as transposed,
} from './calls.ts';
import { inputAt } from './elementwise.ts';

export const reshape: Operator<{ shape: readonly number[] }> = {
  types(inputs, { shape }) {
    const x = inputAt(inputs, 0);
    if (elementCount(shape) !== elementCount(x.shape) || shape.filter(isOpen).length > 1) {
      throw new GraphError(`${describe(x)} cannot take the shape [${shape.join(', ')}]`);
    }
    return [{ dtype: x.dtype, shape }];
  },
  emit(onnx, { inputs: [x = ''], outputs: [output = ''] }, { shape }) {
    // ONNX works out one length by itself, −1.
    const lengths = shape.map((length) => (isOpen(length) ? -1 : length));
    onnx.node('Reshape', [x, onnx.constant(BigInt64Array.from(lengths, BigInt), [shape.length])], { output });
  },
  gradient: ({ delta, inputTypes }) => [() => reshaped(delta, inputAt(inputTypes, 0).shape)],
};

export const transpose: Operator<{ perm: readonly number[] }> = {
  types(inputs, { perm }) {
    const x = inputAt(inputs, 0);
    if (perm.length !== x.shape.length) throw new GraphError(`${describe(x)} has not the axes [${perm.join(', ')}]`);
    return [{ dtype: x.dtype, shape: perm.map((axis) => sizeAt(x, axis)) }];
  },
  emit: (onnx, { inputs, outputs: [output = ''] }, { perm }) =>
    onnx.node('Transpose', inputs, { output, attributes: { perm } }),
  gradient: ({ delta }, { perm }) => [
    () =>
      transposed(
        delta,
        perm.map((_, axis) => perm.indexOf(axis)),
      ),
  ],
};

/**
 * Tensors that one shader of WebGPU may bind: maxStorageBuffersPerShaderStage, which every device grants. A Split binds
 * its input and all its outputs.
 */
const bindingsPerShader = 8;

export const split: Operator<{ axis: number; sizes: readonly number[] }> = {
  types(inputs, { axis, sizes }) {
    const x = inputAt(inputs, 0);
    if (sizes.reduce((total, size) => total + size, 0) !== sizeAt(x, axis)) {
      throw new GraphError(`${describe(x)} cannot be split into ${sizes.join(' + ')} at axis ${axis}`);
    }
    return sizes.map((size): TensorType => ({ dtype: x.dtype, shape: x.shape.with(axis, size) }));
  },
  emit(onnx, { inputs: [x = ''], outputs }, { axis, sizes }) {
    if (onnx.target === 'cpu' || sizes.length < bindingsPerShader) {
      const sizesInput = onnx.constant(BigInt64Array.from(sizes, BigInt), [sizes.length]);
      onnx.nodeWithOutputs('Split', [x, sizesInput], outputs, { attributes: { axis } });
      return;
    }
    const vector = (value: number): string => onnx.constant(BigInt64Array.of(BigInt(value)), [1]);
    let start = 0;
    for (const [index, size] of sizes.entries()) {
      onnx.node('Slice', [x, vector(start), vector(start + size), vector(axis)], { output: outputs[index] ?? '' });
      start += size;
    }
  },
  gradient: ({ delta, deltaOf }, { axis, sizes }) => [
    () => {
      const deltas = sizes.map((_, index): Value => deltaOf(index));
      return joined([deltas[0] ?? delta, ...deltas.slice(1)], axis);
    },
  ],
};

export const slice: Operator<{ axis: number; start: number; end: number }> = {
  types(inputs, { axis, start, end }) {
    const x = inputAt(inputs, 0);
    if (start < 0 || start >= end || end > sizeAt(x, axis)) {
      throw new GraphError(`${describe(x)} has not the positions ${start} to ${end} at axis ${axis}`);
    }
    return [{ dtype: x.dtype, shape: x.shape.with(axis, end - start) }];
  },
  emit(onnx, { inputs: [x = ''], outputs: [output = ''] }, { axis, start, end }) {
    const bounds = [start, end, axis].map((value) => onnx.constant(BigInt64Array.of(BigInt(value)), [1]));
    onnx.node('Slice', [x, ...bounds], { output });
  },
  gradient: ({ delta, inputTypes }, { axis, start, end }) => [
    () => padded(delta, axis, { before: start, after: sizeAt(inputAt(inputTypes, 0), axis) - end }),
  ],
};

export const concat: Operator<{ axis: number }> = {
  types(inputs, { axis }) {
    const first = inputAt(inputs, 0);
    return [
      {
        dtype: first.dtype,
        shape: first.shape.with(
          axis,
          inputs.reduce((total, x) => total + sizeAt(x, axis), 0),
        ),
      },
    ];
  },
  emit: (onnx, { inputs, outputs: [output = ''] }, { axis }) =>
    onnx.node('Concat', inputs, { output, attributes: { axis } }),
  gradient({ delta, inputTypes }, { axis }) {
    let parts: readonly Value[] | undefined;
    const sizes = inputTypes.map((x) => sizeAt(x, axis));
    return sizes.map((_, index) => () => {
      parts ??= cut(delta, axis, sizes);
      return parts[index] ?? delta;
    });
  },
};

/** Occurs only in backward passes: nothing differentiates it. */
export const pad: Operator<{ axis: number; before: number; after: number }> = {
  types(inputs, { axis, before, after }) {
    const x = inputAt(inputs, 0);
    return [{ dtype: x.dtype, shape: x.shape.with(axis, before + sizeAt(x, axis) + after) }];
  },
  emit(onnx, { inputs: [x = ''], inputTypes, outputs: [output = ''] }, { axis, before, after }) {
    const rank = inputAt(inputTypes, 0).shape.length;
    const pads = new BigInt64Array(2 * rank);
    pads[axis] = BigInt(before);
    pads[rank + axis] = BigInt(after);
    onnx.node('Pad', [x, onnx.constant(pads, [2 * rank])], { output });
  },
};

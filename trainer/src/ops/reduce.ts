import type { EmittedCall, Emitter, Operator, TensorType } from '../graph/types.ts';
import type { ReduceAttributes } from './calls.ts';
import { inputAt } from './elementwise.ts';

const reducedTypes = (inputs: readonly TensorType[], { axes, keepDims }: ReduceAttributes): TensorType[] => {
  const { dtype, shape } = inputAt(inputs, 0);
  const reduced = shape.flatMap((size, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [size]));
  return [{ dtype, shape: reduced }];
};

const emitAs =
  (opType: string) =>
  (
    onnx: Emitter,
    { inputs: [x = ''], outputs: [output = ''] }: EmittedCall,
    { axes, keepDims }: ReduceAttributes,
  ): void => {
    const axesInput = onnx.constant(BigInt64Array.from(axes, BigInt), [axes.length]);
    onnx.node(opType, [x, axesInput], { output, attributes: { keepdims: keepDims ? 1 : 0 } });
  };

// Both occur only in backward passes and optimizers: nothing differentiates them.
export const sum: Operator<ReduceAttributes> = { types: reducedTypes, emit: emitAs('ReduceSum') };
export const mean: Operator<ReduceAttributes> = { types: reducedTypes, emit: emitAs('ReduceMean') };

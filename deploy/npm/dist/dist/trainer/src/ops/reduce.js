                                                                                    
                                                   
import { inputAt } from './elementwise.js';

const reducedTypes = (inputs                       , { axes, keepDims }                  )               => {
  const { dtype, shape } = inputAt(inputs, 0);
  const reduced = shape.flatMap((size, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [size]));
  return [{ dtype, shape: reduced }];
};

const emitAs =
  (opType        ) =>
  (onnx         , { inputs: [x = ''], outputs: [output = ''] }             , { axes, keepDims }                  )       => {
    const axesInput = onnx.constant(BigInt64Array.from(axes, BigInt), [axes.length]);
    onnx.node(opType, [x, axesInput], { output, attributes: { keepdims: keepDims ? 1 : 0 } });
  };

// Both occur only in backward passes and optimizers: nothing differentiates them.
export const sum                             = { types: reducedTypes, emit: emitAs('ReduceSum') };
export const mean                             = { types: reducedTypes, emit: emitAs('ReduceMean') };

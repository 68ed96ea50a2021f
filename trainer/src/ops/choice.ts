import { describe, GraphError, sameShape } from '../graph/shape.ts';
import type { Operator } from '../graph/types.ts';
import { inputAt } from './elementwise.ts';

/**
 * `then` where a number is at most the limit, `otherwise` where it is above or no number at all. With the largest float32
 * for a limit it tells finite numbers from others: WebGPU has neither IsNaN nor IsInf. Occurs only in optimizers.
 */
export const whereAtMost: Operator<{ limit: number }> = {
  types(inputs) {
    const [then, otherwise] = [inputAt(inputs, 1), inputAt(inputs, 2)];
    if (!sameShape(then.shape, otherwise.shape))
      throw new GraphError(`${describe(then)} and ${describe(otherwise)} are no choice`);
    return [then];
  },
  emit(onnx, { inputs: [test = '', then = '', otherwise = ''], outputs: [output = ''] }, { limit }) {
    const holds = onnx.node('LessOrEqual', [test, onnx.constant(Float32Array.of(limit), [])]);
    onnx.node('Where', [holds, then, otherwise], { output });
  },
};

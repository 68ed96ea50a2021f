import { describe, GraphError, sizeAt } from '../graph/shape.ts';
import type { Operator } from '../graph/types.ts';
import { mean, mul, sub, sum } from './calls.ts';
import { inputAt } from './elementwise.ts';

export const softmax: Operator = {
  types: (inputs) => [inputAt(inputs, 0)],
  emit: (onnx, { inputs, outputs: [output = ''] }) =>
    onnx.node('Softmax', inputs, { output, attributes: { axis: -1 } }),
  saves: { outputs: [0] },
  /** dx = y·δ − y·Σ(y·δ), the sum over the last axis. */
  gradient({ output, delta }) {
    const y = output(0);
    return [
      () => {
        const weighted = mul(y, delta);
        return sub(weighted, mul(y, sum(weighted, [y.shape.length - 1], true)));
      },
    ];
  },
};

export const rmsNorm: Operator<{ epsilon: number }> = {
  types(inputs) {
    const [x, gain] = [inputAt(inputs, 0), inputAt(inputs, 1)];
    if (gain.shape.length !== 1 || gain.shape[0] !== sizeAt(x, -1)) {
      throw new GraphError(`a gain ${describe(gain)} does not fit ${describe(x)}`);
    }
    return [x, { dtype: x.dtype, shape: x.shape.with(-1, 1) }];
  },
  /** Outputs y = x·r·gain and, for the gradient, r = 1/√(mean(x²) + ε), [..., 1]. */
  emit(onnx, { inputs: [x = '', gain = ''], inputTypes, outputs: [y = '', r = ''] }, { epsilon }) {
    if (onnx.target === 'cpu') {
      // Its second output is r on CPU only; WebGPU returns the mean there.
      const attributes = { axis: -1, epsilon: { float: epsilon }, stash_type: 1 };
      onnx.nodeWithOutputs('SimplifiedLayerNormalization', [x, gain], [y, r], { attributes });
      return;
    }
    const lastAxis = onnx.constant(BigInt64Array.of(BigInt(inputAt(inputTypes, 0).shape.length - 1)), [1]);
    const meanSquare = onnx.node('ReduceMean', [onnx.node('Mul', [x, x]), lastAxis], { attributes: { keepdims: 1 } });
    const variance = onnx.node('Add', [meanSquare, onnx.constant(Float32Array.of(epsilon), [])]);
    onnx.node('Reciprocal', [onnx.node('Sqrt', [variance])], { output: r });
    onnx.node('Mul', [onnx.node('Mul', [x, r]), gain], { output: y });
  },
  saves: { inputs: [0, 1], outputs: [1] },
  recompute: 'once',
  /** With x̂ = x·r: dx = r·(gδ − x̂·mean(gδ·x̂)), dg = Σ δ·x̂ over the rows (Zhang and Sennrich 2019, section 4). */
  gradient({ input, output, delta }) {
    const r = output(1);
    const normalised = mul(input(0), r);
    return [
      () => {
        const gained = mul(delta, input(1));
        const along = mean(mul(gained, normalised), [r.shape.length - 1], true);
        return mul(r, sub(gained, mul(normalised, along)));
      },
      () => mul(delta, normalised),
    ];
  },
};

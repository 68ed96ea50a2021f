import { describe, GraphError, sameShape } from '../graph/shape.ts';
import type { Emitter, Operator, Value } from '../graph/types.ts';
import { add as plus, mul as times, scalar, sub as minus } from './calls.ts';
import { inputAt } from './elementwise.ts';

/**
 * GELU in the form with the hyperbolic tangent (Hendrycks and Gimpel 2016, section 2), x/2·(1 + tanh u) with
 * u = √(2/π)·(x + 0.044715·x³). As (1 + tanh u)/2 = σ(2u), it is x·σ(v) with v = x·(linear + cubic·x²).
 */
const linear = Math.sqrt(8 / Math.PI);
const cubic = 0.044715 * linear;

/** σ(v) as a new value, or as the one that is named. */
function emitSigmoid(onnx: Emitter, x: string, output?: string): string {
  const constant = (value: number): string => onnx.constant(Float32Array.of(value), []);
  const slope = onnx.node('Add', [onnx.node('Mul', [onnx.node('Mul', [x, x]), constant(cubic)]), constant(linear)]);
  return onnx.node('Sigmoid', [onnx.node('Mul', [x, slope])], output === undefined ? {} : { output });
}

/** dy/dx = s + y·(1 − s)·dv/dx for y = x·s, s = σ(v), dv/dx = linear + 3·cubic·x². */
function slopeOf(x: Value, y: Value, s: Value): Value {
  const inner = plus(times(times(x, x), scalar(x, 3 * cubic)), scalar(x, linear));
  return plus(s, times(times(y, minus(scalar(s, 1), s)), inner));
}

export const gelu: Operator = {
  types: (inputs) => [inputAt(inputs, 0), inputAt(inputs, 0)],
  /** Outputs y and, for the gradient, s. */
  emit(onnx, { inputs: [x = ''], outputs: [y = '', s = ''] }) {
    emitSigmoid(onnx, x, s);
    onnx.node('Mul', [x, s], { output: y });
  },
  saves: { inputs: [0], outputs: [0, 1] },
  gradient: ({ input, output, delta }) => [() => times(delta, slopeOf(input(0), output(0), output(1)))],
};

export const geglu: Operator = {
  types(inputs) {
    const [gate, up] = [inputAt(inputs, 0), inputAt(inputs, 1)];
    if (!sameShape(gate.shape, up.shape)) throw new GraphError(`${describe(gate)} cannot gate ${describe(up)}`);
    return [gate];
  },
  emit(onnx, { inputs: [gate = '', up = ''], outputs: [output = ''] }) {
    onnx.node('Mul', [onnx.node('Mul', [gate, emitSigmoid(onnx, gate)]), up], { output });
  },
  saves: { inputs: [0, 1] },
  /** The product's rule and then gelu's, on an activation that is computed again, as in swiglu. */
  gradient({ input, delta }) {
    const [gate, up] = [input(0), input(1)];
    const [y, s] = gate.graph.apply('gelu', [gate]);
    if (!s) throw new GraphError('gelu gives its sigmoid as second output');
    return [() => times(times(delta, up), slopeOf(gate, y, s)), () => times(delta, y)];
  },
};

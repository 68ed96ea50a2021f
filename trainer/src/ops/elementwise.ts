import { broadcastShapes, describe, GraphError, sameShape } from '../graph/shape.ts';
import type { ElementType, EmittedCall, Emitter, Operator, TensorType } from '../graph/types.ts';
import { add as plus, cast as castTo, mul as times, scalar, sub as minus } from './calls.ts';

export function inputAt(inputs: readonly TensorType[], index: number): TensorType {
  const input = inputs[index];
  if (!input) throw new GraphError(`input ${index} is missing`);
  return input;
}

const broadcastTypes = (inputs: readonly TensorType[]): TensorType[] => {
  const [a, b] = [inputAt(inputs, 0), inputAt(inputs, 1)];
  if (a.dtype !== b.dtype) throw new GraphError(`${a.dtype} and ${b.dtype} do not mix`);
  return [{ dtype: a.dtype, shape: broadcastShapes(a.shape, b.shape) }];
};

const emitAs =
  (opType: string) =>
  (onnx: Emitter, { inputs, outputs }: EmittedCall): void =>
    onnx.nodeWithOutputs(opType, inputs, outputs);

export const add: Operator = {
  types: broadcastTypes,
  emit: emitAs('Add'),
  gradient: ({ delta }) => [() => delta, () => delta],
};

export const mul: Operator = {
  types: broadcastTypes,
  emit: emitAs('Mul'),
  saves: { inputs: [0, 1] },
  gradient: ({ input, delta }) => [() => times(delta, input(1)), () => times(delta, input(0))],
};

export const silu: Operator = {
  types: (inputs) => [inputAt(inputs, 0), inputAt(inputs, 0)],
  /** Outputs y = x·σ(x) and, for the gradient, s = σ(x). */
  emit(onnx, { inputs: [x = ''], outputs: [y = '', s = ''] }) {
    onnx.node('Sigmoid', [x], { output: s });
    onnx.node('Mul', [x, s], { output: y });
  },
  saves: { outputs: [0, 1] },
  /** dx = δ·(s + y·(1 − s)): the derivative of x·σ(x), with σ' = σ·(1 − σ). */
  gradient({ output, delta }) {
    const [y, s] = [output(0), output(1)];
    return [() => times(delta, plus(s, times(y, minus(scalar(s, 1), s))))];
  },
};

export const swiglu: Operator = {
  types(inputs) {
    const [gate, up] = [inputAt(inputs, 0), inputAt(inputs, 1)];
    if (!sameShape(gate.shape, up.shape)) throw new GraphError(`${describe(gate)} cannot gate ${describe(up)}`);
    return [gate];
  },
  emit(onnx, { inputs: [gate = '', up = ''], outputs: [output = ''] }) {
    const activated = onnx.node('Mul', [gate, onnx.node('Sigmoid', [gate])]);
    onnx.node('Mul', [activated, up], { output });
  },
  saves: { inputs: [0, 1] },
  /**
   * The product's rule and then silu's, on an activation that is computed again: of the four widest tensors of a layer
   * only the two inputs wait for the backward pass.
   */
  gradient({ input, delta }) {
    const [gate, up] = [input(0), input(1)];
    const [y, s] = gate.graph.apply('silu', [gate]);
    if (!s) throw new GraphError('silu gives its sigmoid as second output');
    return [() => times(times(delta, up), plus(s, times(y, minus(scalar(s, 1), s)))), () => times(delta, y)];
  },
};

/** To another type, for a product or after it; as large as it is cheap. */
const conversion: Operator<{ to: ElementType }> = {
  types: (inputs, { to }) => [{ dtype: to, shape: inputAt(inputs, 0).shape }],
  emit: (onnx, { inputs, outputs: [output = ''] }, { to }) =>
    onnx.node('Cast', inputs, { output, attributes: { to: onnxTypeNumber[to] } }),
  gradient: ({ delta, inputTypes }) => [() => castTo(delta, inputAt(inputTypes, 0).dtype)],
};

/** Of weights and of what is widened: the copy is not kept for the backward pass. */
export const cast: typeof conversion = { ...conversion, recompute: 'for each reader' };
/** Of an activation to half its size: the copy is kept, and not what it was made from. */
export const narrow: typeof conversion = conversion;

export const onnxTypeNumber: Readonly<Record<ElementType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  float16: 10,
  bfloat16: 16,
  int4: 22,
};

// The rows below occur only in backward passes and optimizers: nothing differentiates them.
export const sub: Operator = { types: broadcastTypes, emit: emitAs('Sub') };
export const div: Operator = { types: broadcastTypes, emit: emitAs('Div') };
export const min: Operator = { types: broadcastTypes, emit: emitAs('Min') };
export const sqrt: Operator = { types: (inputs) => [inputAt(inputs, 0)], emit: emitAs('Sqrt') };
export const exp: Operator = { types: (inputs) => [inputAt(inputs, 0)], emit: emitAs('Exp') };

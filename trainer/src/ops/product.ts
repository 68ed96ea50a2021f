import { broadcastShapes, describe, GraphError, sameShape, sizeAt } from '../graph/shape.ts';
import type { EmittedCall, Emitter, GradientContext, Operator, TensorType, Value } from '../graph/types.ts';
import { gemm as gemmOf, matmul as matmulOf, type ProductAttributes } from './calls.ts';
import { inputAt, onnxTypeNumber } from './elementwise.ts';

/** Shape of op(A)·op(B): [..., m, k] and [..., k, n] give [..., m, n]. */
function productShape(a: TensorType, b: TensorType, { transA, transB }: ProductAttributes): number[] {
  const [m, k] = transA ? [sizeAt(a, -1), sizeAt(a, -2)] : [sizeAt(a, -2), sizeAt(a, -1)];
  const [k2, n] = transB ? [sizeAt(b, -1), sizeAt(b, -2)] : [sizeAt(b, -2), sizeAt(b, -1)];
  const batch = a.shape.slice(0, -2);
  if (k !== k2 || !sameShape(batch, b.shape.slice(0, -2)) || a.dtype !== b.dtype || !isFloat(a)) {
    throw new GraphError(`${describe(a)}${transA ? 'ᵀ' : ''} and ${describe(b)}${transB ? 'ᵀ' : ''} have no product`);
  }
  return [...batch, m, n];
}

const isFloat = ({ dtype }: TensorType): boolean => dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16';

/** The CPU multiplies no halves: there they are widened, and the result is rounded. */
function emitProduct(
  onnx: Emitter,
  { inputs, inputTypes, outputs: [output = ''] }: EmittedCall,
  emit: (inputs: readonly string[], output: string) => void,
): void {
  const { dtype } = inputAt(inputTypes, 0);
  if (onnx.target !== 'cpu' || dtype === 'float32') {
    emit(inputs, output);
    return;
  }
  const wide = onnx.name();
  const widened = inputs.map((input) => onnx.node('Cast', [input], { attributes: { to: onnxTypeNumber.float32 } }));
  emit(widened, wide);
  onnx.node('Cast', [wide], { output, attributes: { to: onnxTypeNumber[dtype] } });
}

/**
 * Y = α·op(A)·op(B). For P = A·B: dA = δ·Bᵀ, dB = Aᵀ·δ; where an operand is read transposed its gradient is the
 * transpose of that, (δ·Bᵀ)ᵀ = B·δᵀ. No operand is ever copied: the flags of the product do all transposing.
 */
function productGradients(
  product: (a: Value, b: Value, attributes: ProductAttributes) => Value,
  { input, delta }: GradientContext,
  { transA = false, transB = false, alpha = 1 }: ProductAttributes,
): [() => Value, () => Value] {
  return [
    () =>
      transA
        ? product(input(1), delta, { transA: transB, transB: true, alpha })
        : product(delta, input(1), { transB: !transB, alpha }),
    () =>
      transB
        ? product(delta, input(0), { transA: true, transB: transA, alpha })
        : product(input(0), delta, { transA: !transA, alpha }),
  ];
}

export const gemm: Operator<ProductAttributes> = {
  types(inputs, attributes) {
    const shape = productShape(inputAt(inputs, 0), inputAt(inputs, 1), attributes);
    const c = inputs[2];
    if (shape.length !== 2) throw new GraphError('gemm multiplies matrices; matmul has batches');
    const { dtype } = inputAt(inputs, 0);
    if (c && (c.dtype !== dtype || !sameShape(broadcastShapes(c.shape, shape), shape)))
      throw new GraphError(`${describe(c)} cannot be added`);
    return [{ dtype, shape }];
  },
  emit(onnx, call, { transA, transB, alpha = 1 }) {
    const attributes = { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: alpha } };
    emitProduct(onnx, call, (inputs, output) => onnx.node('Gemm', inputs, { output, attributes }));
  },
  saves: { inputs: [0, 1] },
  gradient: (context, attributes) => [...productGradients(gemmOf, context, attributes), () => context.delta],
};

export const matmul: Operator<ProductAttributes> = {
  types: (inputs, attributes) => [
    {
      dtype: inputAt(inputs, 0).dtype,
      shape: productShape(inputAt(inputs, 0), inputAt(inputs, 1), attributes),
    },
  ],
  emit(onnx, call, { transA, transB, alpha = 1 }) {
    const {
      inputs: [a = '', b = ''],
      inputTypes,
      outputs: [output = ''],
    } = call;
    if (onnx.target === 'cpu') {
      const attributes = { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: alpha } };
      emitProduct(onnx, call, (operands, result) =>
        onnx.node('FusedMatMul', operands, { output: result, attributes, domain: 'com.microsoft' }),
      );
      return;
    }
    const swapLast = (name: string, rank: number): string => {
      const perm = [...Array(rank - 2).keys(), rank - 1, rank - 2];
      return onnx.node('Transpose', [name], { attributes: { perm } });
    };
    const rank = inputTypes[0]?.shape.length ?? 0;
    const operands = [transA ? swapLast(a, rank) : a, transB ? swapLast(b, rank) : b];
    if (alpha === 1) {
      onnx.node('MatMul', operands, { output });
      return;
    }
    const { dtype } = inputAt(inputTypes, 0);
    const factor = onnx.constant(Float32Array.of(alpha), []);
    const scale =
      dtype === 'float32' ? factor : onnx.node('Cast', [factor], { attributes: { to: onnxTypeNumber[dtype] } });
    onnx.node('Mul', [onnx.node('MatMul', operands), scale], { output });
  },
  saves: { inputs: [0, 1] },
  gradient: (context, attributes) => productGradients(matmulOf, context, attributes),
};

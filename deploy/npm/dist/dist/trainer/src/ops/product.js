import { broadcastShapes, describe, GraphError, sameShape, sizeAt } from '../graph/shape.js';
                                                                                      
import { gemm as gemmOf, matmul as matmulOf,                        } from './calls.js';
import { inputAt } from './elementwise.js';

/** Shape of op(A)·op(B): [..., m, k] and [..., k, n] give [..., m, n]. */
function productShape(a            , b            , { transA, transB }                   )           {
  const [m, k] = transA ? [sizeAt(a, -1), sizeAt(a, -2)] : [sizeAt(a, -2), sizeAt(a, -1)];
  const [k2, n] = transB ? [sizeAt(b, -1), sizeAt(b, -2)] : [sizeAt(b, -2), sizeAt(b, -1)];
  const batch = a.shape.slice(0, -2);
  if (k !== k2 || !sameShape(batch, b.shape.slice(0, -2)) || a.dtype !== 'float32' || b.dtype !== 'float32') {
    throw new GraphError(`${describe(a)}${transA ? 'ᵀ' : ''} and ${describe(b)}${transB ? 'ᵀ' : ''} have no product`);
  }
  return [...batch, m, n];
}

/**
 * Y = α·op(A)·op(B). For P = A·B: dA = δ·Bᵀ, dB = Aᵀ·δ; where an operand is read transposed its gradient is the
 * transpose of that, (δ·Bᵀ)ᵀ = B·δᵀ. No operand is ever copied: the flags of the product do all transposing.
 */
function productGradients(
  product                                                              ,
  { input, delta }                 ,
  { transA = false, transB = false, alpha = 1 }                   ,
)                             {
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

export const gemm                              = {
  types(inputs, attributes) {
    const shape = productShape(inputAt(inputs, 0), inputAt(inputs, 1), attributes);
    const c = inputs[2];
    if (shape.length !== 2) throw new GraphError('gemm multiplies matrices; matmul has batches');
    if (c && !sameShape(broadcastShapes(c.shape, shape), shape)) throw new GraphError(`${describe(c)} cannot be added`);
    return [{ dtype: 'float32', shape }];
  },
  emit(onnx, { inputs, outputs: [output = ''] }, { transA, transB, alpha = 1 }) {
    const attributes = { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: alpha } };
    onnx.node('Gemm', inputs, { output, attributes });
  },
  saves: { inputs: [0, 1] },
  gradient: (context, attributes) => [...productGradients(gemmOf, context, attributes), () => context.delta],
};

export const matmul                              = {
  types: (inputs, attributes) => [
    { dtype: 'float32', shape: productShape(inputAt(inputs, 0), inputAt(inputs, 1), attributes) },
  ],
  emit(onnx, { inputs: [a = '', b = ''], inputTypes, outputs: [output = ''] }, { transA, transB, alpha = 1 }) {
    if (onnx.target === 'cpu') {
      const attributes = { transA: transA ? 1 : 0, transB: transB ? 1 : 0, alpha: { float: alpha } };
      onnx.node('FusedMatMul', [a, b], { output, attributes, domain: 'com.microsoft' });
      return;
    }
    const swapLast = (name        , rank        )         => {
      const perm = [...Array(rank - 2).keys(), rank - 1, rank - 2];
      return onnx.node('Transpose', [name], { attributes: { perm } });
    };
    const rank = inputTypes[0]?.shape.length ?? 0;
    const operands = [transA ? swapLast(a, rank) : a, transB ? swapLast(b, rank) : b];
    if (alpha === 1) onnx.node('MatMul', operands, { output });
    else onnx.node('Mul', [onnx.node('MatMul', operands), onnx.constant(Float32Array.of(alpha), [])], { output });
  },
  saves: { inputs: [0, 1] },
  gradient: (context, attributes) => productGradients(matmulOf, context, attributes),
};

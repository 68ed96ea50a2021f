/**
 * Mixed precision (Micikevicius et al. 2018, section 3): the operands of products are rounded to the graph's product
 * type, and what comes out is widened at once. Norms, softmax, loss, residuals, adapters and masks stay in float32, so a
 * mask of −1e9 never meets a type that cannot hold it. In a graph that multiplies float32 nothing is added.
 */
import type { Value } from '../graph/types.ts';
import { add, cast, gemm, matmul, narrow, type ProductAttributes } from './calls.ts';

/** x·Wᵀ + c for a weight W [out, in] of any float type; c is added in float32. */
export function linearProduct(x: Value, weight: Value, c?: Value): Value {
  const type = x.graph.productType;
  if (type === 'float32') return gemm(x, cast(weight, type), { transB: true }, c);
  const product = cast(gemm(narrow(x, type), cast(weight, type), { transB: true }), 'float32');
  return c ? add(product, c) : product;
}

/** α·op(A)·op(B) of two activations, over the last two axes. */
export function activationProduct(a: Value, b: Value, attributes: ProductAttributes = {}): Value {
  const type = a.graph.productType;
  return cast(matmul(narrow(a, type), narrow(b, type), attributes), 'float32');
}

import type { ModelConfig } from '@weft/trainer';
import { type BenchCase, lora, tokensOf } from './cases.ts';

/** `count` products [m, k]·[k, n] in a step; the second factor is stored [n, k] where it is read transposed. */
export interface Product {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly transB: boolean;
  readonly count: number;
}

export const flopsOf = ({ m, k, n, count }: Product): number => 2 * m * k * n * count;

/** The products of a step with the frozen weights: Y = X·Wᵀ forward, dX = δ·W backward. */
export function frozenProducts(config: ModelConfig, work: BenchCase): Product[] {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim, layers, vocabSize } = config;
  const m = tokensOf(work);
  // the first layer's input is not trained, so nothing flows back through its q, k and v
  const both = (out: number, inner: number, count: number, backward = count): Product[] => [
    { m, k: inner, n: out, transB: true, count },
    { m, k: out, n: inner, transB: false, count: backward },
  ];
  return [
    ...both(heads * headDim, hiddenSize, layers, layers - 1), // q
    ...both(kvHeads * headDim, hiddenSize, 2 * layers, 2 * (layers - 1)), // k, v
    ...both(hiddenSize, heads * headDim, layers), // o
    ...both(intermediateSize, hiddenSize, 2 * layers), // gate, up
    ...both(hiddenSize, intermediateSize, layers), // down
    ...both(vocabSize, hiddenSize, 1), // head
  ];
}

/** Floating-point operations of all products of a step: frozen weights, attention's scores and mixtures, LoRA's factors. */
export function flopsOfStep(config: ModelConfig, work: BenchCase): number {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim, layers } = config;
  const frozen = frozenProducts(config, work).reduce((sum, product) => sum + flopsOf(product), 0);
  const { batchSize, sequenceLength } = work;
  const score = 2 * batchSize * heads * sequenceLength ** 2 * headDim;
  // two products forward; two for each of them backward
  const attention = layers * 6 * score;
  const width = { hidden: hiddenSize, queries: heads * headDim, keys: kvHeads * headDim, inner: intermediateSize };
  const sides: Readonly<Record<string, number>> = {
    q_proj: width.hidden + width.queries,
    k_proj: width.hidden + width.keys,
    v_proj: width.hidden + width.keys,
    o_proj: width.queries + width.hidden,
    gate_proj: width.hidden + width.inner,
    up_proj: width.hidden + width.inner,
    down_proj: width.inner + width.hidden,
  };
  const factors = work.targets.reduce((sum, target) => sum + (sides[target] ?? 0), 0);
  return frozen + attention + layers * 3 * 2 * tokensOf(work) * lora.rank * factors;
}

import { Graph } from '../graph/graph.ts';
import type { OperatorTable, ProductType } from '../graph/types.ts';
import { cachedAttention } from './attention.ts';
import { blockProduct, blockSums, gatherBlocks } from './blocks.ts';
import { whereAtMost } from './choice.ts';
import { crossEntropy } from './cross-entropy.ts';
import { add, cast, div, exp, min, mul, narrow, silu, sqrt, sub, swiglu } from './elementwise.ts';
import { geglu, gelu } from './gelu.ts';
import { gatherRows, scatterRows, setAtColumns } from './indexed.ts';
import { concat, pad, reshape, slice, split, transpose } from './layout.ts';
import { dequantiseBlocks, gatherQuantised, quantisedProduct } from './quantised.ts';
import { rmsNorm, softmax } from './normalisation.ts';
import { gemm, matmul } from './product.ts';
import { mean, sum } from './reduce.ts';
import { rotary } from './rotary.ts';

/** Every operator there is. A row without a gradient rule cannot stand between a loss and what is trained. */
export const operators = {
  // with a gradient rule
  add,
  mul,
  silu,
  swiglu,
  gelu,
  geglu,
  gemm,
  matmul,
  reshape,
  transpose,
  split,
  slice,
  concat,
  gatherRows,
  softmax,
  rmsNorm,
  rotary,
  crossEntropy,
  quantisedProduct,
  cast,
  narrow,
  // without
  sub,
  div,
  min,
  whereAtMost,
  sqrt,
  exp,
  sum,
  mean,
  pad,
  scatterRows,
  setAtColumns,
  gatherQuantised,
  dequantiseBlocks,
  blockProduct,
  blockSums,
  gatherBlocks,
  cachedAttention,
} satisfies OperatorTable;

export const createGraph = (table: OperatorTable = operators, productType?: ProductType): Graph =>
  new Graph(table, productType);

import { Graph } from '../graph/graph.js';
                                                       
import { crossEntropy } from './cross-entropy.js';
import { add, cast, div, min, mul, silu, sqrt, sub } from './elementwise.js';
import { addAtColumns, gatherRows, scatterRows } from './indexed.js';
import { concat, reshape, split, transpose } from './layout.js';
import { rmsNorm, softmax } from './normalisation.js';
import { gemm, matmul } from './product.js';
import { mean, sum } from './reduce.js';
import { rotary } from './rotary.js';

/** Every operator there is. A row without a gradient rule cannot stand between a loss and what is trained. */
export const operators = {
  // with a gradient rule
  add,
  mul,
  silu,
  gemm,
  matmul,
  reshape,
  transpose,
  split,
  gatherRows,
  softmax,
  rmsNorm,
  rotary,
  crossEntropy,
  // without
  cast,
  sub,
  div,
  min,
  sqrt,
  sum,
  mean,
  concat,
  scatterRows,
  addAtColumns,
}                        ;

export const createGraph = (table                = operators)        => new Graph(table);

/** The operators as functions of values: what models, objectives, optimizers and gradient rules are written in. */
import type { ElementType, Value } from '../graph/types.ts';
import type { BlockAttributes } from './blocks.ts';
import type { RopeScaling } from './rope-scaling.ts';

export interface ProductAttributes {
  readonly transA?: boolean;
  readonly transB?: boolean;
  /** Factor of the product. */
  readonly alpha?: number;
}
export interface ReduceAttributes {
  /** Counted from the front. */
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}
export interface RotaryAttributes {
  /** rope_theta. */
  readonly base: number;
  readonly scaling?: RopeScaling | undefined;
  /** Multiplies the result: 1/√headDim on queries spares a pass over the scores. */
  readonly scale: number;
  /** Rotates by the opposite angle. */
  readonly inverse?: boolean;
  /** Where the first position is an input: how many positions there are. */
  readonly positions?: number;
}

export interface AttentionAttributes {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Factor of the scores. */
  readonly scale: number;
  /** Without it queries and keys are not rotated. */
  readonly rotation?: Pick<RotaryAttributes, 'base' | 'scaling'> | undefined;
  /** Positions that a row sees, its own included; without it all. */
  readonly window?: number | undefined;
}

/** Where logits are hidden·Wᵀ: the hidden rows, and W's rows at the targets, both [n, width]. */
export interface DirectGradient {
  readonly hidden: Value;
  readonly targetRows: Value;
}

export const scalar = (near: Value, value: number): Value => near.graph.constant(Float32Array.of(value), []);

export const add = (a: Value, b: Value): Value => a.graph.apply('add', [a, b])[0];
export const sub = (a: Value, b: Value): Value => a.graph.apply('sub', [a, b])[0];
export const mul = (a: Value, b: Value): Value => a.graph.apply('mul', [a, b])[0];
export const div = (a: Value, b: Value): Value => a.graph.apply('div', [a, b])[0];
export const min = (a: Value, b: Value): Value => a.graph.apply('min', [a, b])[0];
export const sqrt = (a: Value): Value => a.graph.apply('sqrt', [a])[0];
export const exp = (a: Value): Value => a.graph.apply('exp', [a])[0];
export const cast = (a: Value, to: ElementType): Value => (a.dtype === to ? a : a.graph.apply('cast', [a], { to })[0]);
/** A cast of an activation for a product, kept for the backward pass, where a cast is made again. */
export const narrow = (a: Value, to: ElementType): Value =>
  a.dtype === to ? a : a.graph.apply('narrow', [a], { to })[0];
/** `then` where test [...] is at most the limit, `otherwise` where it is more or NaN. */
export const whereAtMost = (test: Value, limit: number, then: Value, otherwise: Value): Value =>
  test.graph.apply('whereAtMost', [test, then, otherwise], { limit })[0];
const largestFloat32 = 2 ** 128 - 2 ** 104;
export const whereFinite = (test: Value, then: Value, otherwise: Value): Value =>
  whereAtMost(test, largestFloat32, then, otherwise);
/** x·σ(x). */
export const silu = (x: Value): Value => x.graph.apply('silu', [x])[0];
/** GELU in the form with the hyperbolic tangent. */
export const gelu = (x: Value): Value => x.graph.apply('gelu', [x])[0];
/** gelu(gate)·up. */
export const geglu = (gate: Value, up: Value): Value => gate.graph.apply('geglu', [gate, up])[0];
/** silu(gate)·up. */
export const swiglu = (gate: Value, up: Value): Value => gate.graph.apply('swiglu', [gate, up])[0];

export const sum = (a: Value, axes: readonly number[], keepDims = false): Value =>
  a.graph.apply('sum', [a], { axes, keepDims })[0];
export const mean = (a: Value, axes: readonly number[], keepDims = false): Value =>
  a.graph.apply('mean', [a], { axes, keepDims })[0];

/** α·op(A)·op(B) + C for matrices, C optional. */
export const gemm = (a: Value, b: Value, attributes: ProductAttributes = {}, c?: Value): Value =>
  a.graph.apply('gemm', c ? [a, b, c] : [a, b], attributes)[0];
/** α·op(A)·op(B) over the last two axes; the axes before them are equal. */
export const matmul = (a: Value, b: Value, attributes: ProductAttributes = {}): Value =>
  a.graph.apply('matmul', [a, b], attributes)[0];

export const reshape = (a: Value, shape: readonly number[]): Value => a.graph.apply('reshape', [a], { shape })[0];
export const transpose = (a: Value, perm: readonly number[]): Value => a.graph.apply('transpose', [a], { perm })[0];
export const split = (a: Value, axis: number, sizes: readonly number[]): readonly Value[] =>
  sizes.length === 1 ? [a] : a.graph.apply('split', [a], { axis, sizes });
/** Positions from `start` up to, not including, `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}
/** Positions of an axis. */
export const slice = (a: Value, axis: number, { start, end }: Span): Value =>
  start === 0 && end === a.shape[axis] ? a : a.graph.apply('slice', [a], { axis, start, end })[0];
/** Zeros before and after along an axis. */
export const pad = (
  a: Value,
  axis: number,
  { before, after }: { readonly before: number; readonly after: number },
): Value => a.graph.apply('pad', [a], { axis, before, after })[0];
export const concat = (parts: readonly [Value, ...Value[]], axis: number): Value =>
  parts.length === 1 ? parts[0] : parts[0].graph.apply('concat', parts, { axis })[0];

/** Rows of a table [rows, width] by index [n]: [n, width]. */
export const gatherRows = (table: Value, indices: Value): Value => table.graph.apply('gatherRows', [table, indices])[0];
/** Zeros [rows, width] to which the rows [n, width] are added at their indices [n]; an index may repeat. */
export const scatterRows = (rows: Value, indices: Value, count: number): Value =>
  rows.graph.apply('scatterRows', [rows, indices], { count })[0];
/** matrix [n, width], where column targets[i] of row i is replaced by values [n, 1]. */
export const setAtColumns = (matrix: Value, targets: Value, values: Value): Value =>
  matrix.graph.apply('setAtColumns', [matrix, targets, values])[0];

/** Over the last axis. */
export const softmax = (x: Value): Value => x.graph.apply('softmax', [x])[0];
/** x / √(mean(x²) + ε) · gain over the last axis. */
export const rmsNorm = (x: Value, gain: Value, epsilon: number): Value =>
  x.graph.apply('rmsNorm', [x, gain], { epsilon })[0];
/**
 * Rotary position embedding of [batch, heads, seq, headDim]. Positions count from 0, or from the int32 [1] that is given,
 * or are given themselves, int32 [batch, seq].
 */
export const rotary = (x: Value, attributes: RotaryAttributes, positions?: Value): Value =>
  x.graph.apply('rotary', positions ? [x, positions] : [x], attributes)[0];
/** Σᵢ rowWeights[i]·(logΣexp(logits[i]) − logits[i, targets[i]]), a scalar. */
export const crossEntropy = (logits: Value, targets: Value, rowWeights: Value, direct?: DirectGradient): Value =>
  logits.graph.apply('crossEntropy', [
    logits,
    targets,
    rowWeights,
    ...(direct ? [direct.hidden, direct.targetRows] : []),
  ])[0];

/** x·Wᵀ + what its blocks add, for a matrix in blocks: ops/blocks.ts. */
export const blockProduct = (x: Value, parts: readonly Value[], attributes: BlockAttributes): Value =>
  x.graph.apply('blockProduct', [x, ...parts], attributes)[0];
/** [rows, in] to [rows, in/blockLength]. */
export const blockSums = (x: Value, blockLength: number): Value => x.graph.apply('blockSums', [x], { blockLength })[0];
/** Rows of a matrix in blocks by index [n]. */
export const gatherBlocks = (
  codes: Value,
  indices: Value,
  parts: readonly Value[],
  attributes: BlockAttributes,
): Value => codes.graph.apply('gatherBlocks', [codes, indices, ...parts], attributes)[0];
/** Attention over a cache, and the cache with the rows in it: ops/attention.ts. */
export const cachedAttention = (
  cache: { readonly keys: Value; readonly values: Value; readonly last: Value; readonly total: Value },
  rows: readonly Value[],
  attributes: AttentionAttributes,
): readonly Value[] =>
  cache.keys.graph.apply('cachedAttention', [cache.keys, cache.values, cache.last, cache.total, ...rows], attributes);

/** A matrix [k, n] as int8 levels with a scale for each column. */
export interface QuantisedMatrix {
  readonly levels: Value;
  readonly scales: Value;
}
/** How rows [n, k] become levels before they are multiplied. */
export interface RowLevels {
  /** Levels go from −range to range or, where no value is negative, from 0 to range. */
  readonly range: number;
  readonly unsigned: boolean;
  /** Channels whose values dwarf the others': they are multiplied as they are. */
  readonly outliers: number;
}
export interface QuantisedProductAttributes {
  readonly rows: RowLevels;
  /** Of the gradient, which the same operator multiplies. */
  readonly gradient?: RowLevels | undefined;
}
/** x [n, k] times a quantised matrix [k, m]; the gradient is its product with `backward` [m, k]. */
export const quantisedProduct = (
  x: Value,
  forward: QuantisedMatrix,
  attributes: QuantisedProductAttributes,
  backward?: QuantisedMatrix,
): Value =>
  x.graph.apply(
    'quantisedProduct',
    [x, forward.levels, forward.scales, ...(backward ? [backward.levels, backward.scales] : [])],
    attributes,
  )[0];
/** Rows (axis 0) of a quantised matrix by index [n], or its columns (axis 1) turned into rows: [n, width]. */
export const gatherQuantised = ({ levels, scales }: QuantisedMatrix, indices: Value, axis: 0 | 1): Value =>
  levels.graph.apply('gatherQuantised', [levels, scales, indices], { axis })[0];
/** A matrix [n, k] in float32 from its int4 levels and scales [n, k / block]. */
export const dequantiseBlocks = (levels: Value, scales: Value): Value =>
  levels.graph.apply('dequantiseBlocks', [levels, scales])[0];

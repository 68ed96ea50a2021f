import { readFileSync } from 'node:fs';
import type { Value } from '../src/graph/types.ts';
import * as ops from '../src/ops/calls.ts';
import { operators } from '../src/ops/table.ts';
import type { TestTensor } from './run-graph.ts';

/** One use of one operator, with what PyTorch says about it in float64 (golden/make-operators.py). */
export interface GradientCase {
  readonly name: string;
  readonly operator: keyof typeof operators;
  readonly inputs: readonly TestTensor[];
  readonly outputs: readonly TestTensor[];
  /** Gradients of some scalar with respect to the outputs. */
  readonly cotangents: readonly TestTensor[];
  /** Positions of the inputs whose gradients are compared, and those gradients. */
  readonly wanted: readonly number[];
  readonly gradients: readonly TestTensor[];
  build(inputs: readonly Value[]): readonly Value[];
}

type Build = (...inputs: [Value, Value, Value]) => Value | readonly Value[];

const llama3 = { type: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 64 } as const;
const yarn = {
  type: 'yarn',
  factor: 4,
  betaFast: 8,
  betaSlow: 1,
  originalMaxPositions: 64,
  truncate: false,
} as const;

const builds: Readonly<Record<string, readonly [operator: keyof typeof operators, build: Build]>> = {
  'add same shape': ['add', ops.add],
  'add broadcast row': ['add', ops.add],
  'add broadcast both': ['add', ops.add],
  'mul same shape': ['mul', ops.mul],
  'mul broadcast column': ['mul', ops.mul],
  'mul square': ['mul', (a) => ops.mul(a, a)],
  silu: ['silu', ops.silu],
  swiglu: ['swiglu', ops.swiglu],
  gelu: ['gelu', ops.gelu],
  geglu: ['geglu', ops.geglu],
  'gemm plain': ['gemm', (a, b) => ops.gemm(a, b)],
  'gemm transB alpha': ['gemm', (a, b) => ops.gemm(a, b, { transB: true, alpha: 0.5 })],
  'gemm transA': ['gemm', (a, b) => ops.gemm(a, b, { transA: true })],
  'gemm transA transB with C': ['gemm', (a, b, c) => ops.gemm(a, b, { transA: true, transB: true, alpha: 2 }, c)],
  'gemm with row C': ['gemm', (a, b, c) => ops.gemm(a, b, {}, c)],
  'matmul plain': ['matmul', (a, b) => ops.matmul(a, b)],
  'matmul transB alpha': ['matmul', (a, b) => ops.matmul(a, b, { transB: true, alpha: 0.25 })],
  'matmul transA': ['matmul', (a, b) => ops.matmul(a, b, { transA: true })],
  'matmul transA transB': ['matmul', (a, b) => ops.matmul(a, b, { transA: true, transB: true })],
  // to the type that it has: other types round
  cast: ['cast', (a) => a.graph.apply('cast', [a], { to: 'float32' })],
  narrow: ['narrow', (a) => a.graph.apply('narrow', [a], { to: 'float32' })],
  reshape: ['reshape', (a) => ops.reshape(a, [3, 4])],
  transpose: ['transpose', (a) => ops.transpose(a, [2, 0, 1])],
  split: ['split', (a) => ops.split(a, 1, [1, 2, 3])],
  slice: ['slice', (a) => ops.slice(a, 1, { start: 1, end: 4 })],
  concat: ['concat', (a, b, c) => ops.concat([a, b, c], 1)],
  'split with an unused part': ['split', (a) => ops.split(a, 1, [1, 2, 3]).slice(1, 2)],
  'gatherRows with repeats': ['gatherRows', ops.gatherRows],
  softmax: ['softmax', ops.softmax],
  rmsNorm: ['rmsNorm', (x, gain) => ops.rmsNorm(x, gain, 1e-2)],
  rotary: ['rotary', (x) => ops.rotary(x, { base: 100, scale: 1 })],
  'rotary scaled': ['rotary', (x) => ops.rotary(x, { base: 10_000, scale: 0.25 })],
  'rotary llama3': ['rotary', (x) => ops.rotary(x, { base: 100, scale: 1, scaling: llama3 })],
  'rotary yarn': ['rotary', (x) => ops.rotary(x, { base: 100, scale: 0.5, scaling: yarn })],
  crossEntropy: ['crossEntropy', ops.crossEntropy],
};

type Golden = Omit<GradientCase, 'name' | 'operator' | 'build'>;
const golden = JSON.parse(readFileSync(new URL('golden/operators.json', import.meta.url), 'utf8')) as Record<
  string,
  Golden
>;

export const gradientCases: readonly GradientCase[] = Object.entries(golden).map(([name, numbers]) => {
  const known = builds[name];
  if (!known) throw new Error(`golden/operators.json has a case "${name}" that gradient-cases.ts does not build`);
  const [operator, build] = known;
  return {
    name,
    operator,
    ...numbers,
    build: (inputs) => [build(...(inputs as [Value, Value, Value]))].flat(),
  };
});

/** Rounds to steps: no differences, and kernels of the CPU alone. quantised.test.ts compares it with the float32 product. */
const rounded: readonly (keyof typeof operators)[] = ['quantisedProduct'];

/** Operators that have a gradient rule. */
export const differentiableOperators = (Object.keys(operators) as (keyof typeof operators)[]).filter(
  (name) => 'gradient' in operators[name] && !rounded.includes(name),
);

import type { Tensor } from 'onnxruntime-node';
import { pullback } from '../src/autodiff/differentiate.ts';
import type { EmitTarget, OperatorTable, Value } from '../src/graph/types.ts';
import { createGraph } from '../src/ops/table.ts';
import type { GradientCase } from './gradient-cases.ts';
import { openGraph, runGraph, toTensor } from './run-graph.ts';

export interface Mismatch {
  readonly what: string;
  readonly index: number;
  readonly is: number;
  readonly expected: number;
}

/** Outputs and gradients against PyTorch's numbers: float32 against float64, so 1e-5 of the largest value. */
export async function compareWithGolden(
  test: GradientCase,
  table: OperatorTable,
  target: EmitTarget,
): Promise<Mismatch[]> {
  const results = await runCase(test, table, target);
  const expected = new Map([
    ...test.outputs.map((tensor, index) => [`output${index}`, tensor.data] as const),
    ...test.gradients.map((tensor, index) => [`gradient${test.wanted[index]}`, tensor.data] as const),
  ]);
  return [...expected].flatMap(([name, values]) => differences(name, results.get(name) ?? [], values, 1e-5));
}

/** Gradients against central differences of the float32 forward pass, summed in float64. */
export async function compareWithDifferences(
  test: GradientCase,
  table: OperatorTable,
  target: EmitTarget,
): Promise<Mismatch[]> {
  const gradients = await runCase(test, table, target);
  const graph = createGraph(table);
  const inputs = test.inputs.map(({ type, shape }, index) => graph.input(`input${index}`, type, shape));
  test.build(inputs).forEach((output, index) => graph.output(`output${index}`, output));
  const session = await openGraph(graph, target);
  const feeds = Object.fromEntries(test.inputs.map((tensor, index) => [`input${index}`, toTensor(tensor)]));
  const loss = async (): Promise<number> => {
    const outputs = await runGraph(session, feeds);
    return test.cotangents.reduce(
      (total, { data }, index) => total + dot(outputs.get(`output${index}`) ?? [], data),
      0,
    );
  };
  const step = 2 ** -7;
  const mismatches: Mismatch[] = [];
  for (const input of test.wanted) {
    const data = feeds[`input${input}`]?.data;
    if (!(data instanceof Float32Array)) throw new Error(`input ${input} of ${test.name} is not float32`);
    const expected: number[] = [];
    for (const [index, value] of data.entries()) {
      data[index] = value + step;
      const above = await loss();
      data[index] = value - step;
      const below = await loss();
      data[index] = value;
      expected.push((above - below) / (2 * step));
    }
    mismatches.push(...differences(`gradient${input}`, gradients.get(`gradient${input}`) ?? [], expected, 1e-3));
  }
  await session.release();
  return mismatches;
}

async function runCase(
  test: GradientCase,
  table: OperatorTable,
  target: EmitTarget,
): Promise<Map<string, Float32Array>> {
  const graph = createGraph(table);
  const inputs = test.inputs.map(({ type, shape }, index) => graph.input(`input${index}`, type, shape));
  const outputs = test.build(inputs);
  outputs.forEach((output, index) => graph.output(`output${index}`, output));
  const seeds = new Map<Value, Value>();
  const feeds: Record<string, Tensor> = {};
  test.cotangents.forEach((cotangent, index) => {
    const output = outputs[index];
    if (output) seeds.set(output, graph.input(`cotangent${index}`, 'float32', cotangent.shape));
    feeds[`cotangent${index}`] = toTensor(cotangent);
  });
  test.inputs.forEach((tensor, index) => (feeds[`input${index}`] = toTensor(tensor)));
  const wanted = test.wanted.flatMap((index) => inputs[index] ?? []);
  pullback(graph, seeds, wanted).forEach((gradient, index) => graph.output(`gradient${test.wanted[index]}`, gradient));
  const session = await openGraph(graph, target);
  const results = await runGraph(session, feeds);
  await session.release();
  return results;
}

function differences(what: string, is: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): Mismatch[] {
  const values = Array.from(expected);
  const allowed = tolerance * Math.max(1, ...values.map(Math.abs));
  if (is.length !== values.length)
    return [{ what: `${what}: length`, index: 0, is: is.length, expected: values.length }];
  return values.flatMap((value, index) => {
    const found = is[index] ?? Number.NaN;
    return Math.abs(found - value) <= allowed ? [] : [{ what, index, is: found, expected: value }];
  });
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((total, value, index) => total + value * (b[index] ?? 0), 0);

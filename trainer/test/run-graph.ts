import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Graph } from '../src/graph/graph.ts';
import { serialise } from '../src/graph/serialise.ts';
import type { EmitTarget } from '../src/graph/types.ts';

export interface TestTensor {
  readonly type: 'float32' | 'int64';
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

export const toTensor = ({ type, shape, data }: TestTensor): Tensor =>
  type === 'int64'
    ? new Tensor('int64', BigInt64Array.from(data, BigInt), shape)
    : new Tensor('float32', Float32Array.from(data), shape);

/** A small graph in this process: tests need no worker. */
export async function openGraph(graph: Graph, target: EmitTarget): Promise<InferenceSession> {
  return InferenceSession.create(serialise(graph, target), {
    intraOpNumThreads: 1,
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 3,
  });
}

export async function runGraph(
  session: InferenceSession,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Map<string, Float32Array>> {
  const used = Object.fromEntries(Object.entries(feeds).filter(([name]) => session.inputNames.includes(name)));
  const results = await session.run(used);
  return new Map(
    Object.entries(results).map(([name, { data }]) => {
      if (!(data instanceof Float32Array)) throw new Error(`${name} is not float32`);
      return [name, data];
    }),
  );
}

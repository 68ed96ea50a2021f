import type { Graph } from '../graph/graph.ts';
import { serialise } from '../graph/serialise.ts';
import type { Value } from '../graph/types.ts';
import { matmul, scatterRows, softmax, whereFinite } from '../ops/calls.ts';
import { createGraph } from '../ops/table.ts';
import type { Provider } from '../session/device.ts';
import type { WireTensor } from '../session/messages.ts';
import { SessionThread } from '../session/session-thread.ts';

/** A computation that some kernel of some provider is known to get wrong, and its result. */
export interface Canary {
  readonly name: string;
  readonly feeds: readonly WireTensor[];
  readonly build: (graph: Graph) => Value;
  /** One number: all elements of the result are equal to it. */
  readonly expected: number;
}

const rows = 512;
const ones = (name: string, shape: readonly number[]): WireTensor => ({
  name,
  shape,
  data: new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(1),
});

export const canaries: readonly Canary[] = [
  {
    // WebGPU's SimplifiedLayerNormalization returns the mean here.
    name: "a norm's second output is the inverse deviation",
    feeds: [{ name: 'x', shape: [1, 2], data: Float32Array.of(3, 4) }, ones('gain', [2])],
    build: (graph) => {
      const inputs = [graph.input('x', 'float32', [1, 2]), graph.input('gain', 'float32', [2])];
      const [y, r] = graph.apply('rmsNorm', inputs, { epsilon: 0 });
      return r ?? y;
    },
    expected: 1 / Math.sqrt((9 + 16) / 2),
  },
  {
    // ScatterND races on CPU where an index repeats.
    name: 'rows that scatter to one index are all added',
    feeds: [ones('rows', [rows, 8]), { name: 'indices', shape: [rows], data: new Int32Array(rows) }],
    build: (graph) =>
      scatterRows(graph.input('rows', 'float32', [rows, 8]), graph.input('indices', 'int32', [rows]), 1),
    expected: rows,
  },
  {
    name: 'a mask of -1e9 leaves a softmax finite',
    feeds: [{ name: 'scores', shape: [2, 2], data: new Float32Array(4).fill(-1e9) }],
    build: (graph) => softmax(graph.input('scores', 'float32', [2, 2])),
    expected: 0.5,
  },
  {
    // WGSL lets a compiler assume that there is neither infinity nor NaN.
    name: 'a number that is not finite is told from one that is',
    feeds: [
      { name: 'tested', shape: [2], data: Float32Array.of(Number.POSITIVE_INFINITY, Number.NaN) },
      { name: 'then', shape: [2], data: Float32Array.of(Number.NaN, 1) },
      { name: 'otherwise', shape: [2], data: Float32Array.of(2, 2) },
    ],
    build: (graph) => {
      const [tested, then, otherwise] = ['tested', 'then', 'otherwise'].map((name) =>
        graph.input(name, 'float32', [2]),
      ) as [Value, Value, Value];
      return whereFinite(tested, then, otherwise);
    },
    expected: 2,
  },
  {
    // TF32 keeps ten bits of the mantissa.
    name: 'products keep the bits of float32',
    feeds: [{ name: 'a', shape: [1, 1, 64], data: new Float32Array(64).fill(1 + 2 ** -13) }, ones('b', [1, 4, 64])],
    build: (graph) =>
      matmul(graph.input('a', 'float32', [1, 1, 64]), graph.input('b', 'float32', [1, 4, 64]), { transB: true }),
    expected: 64 * (1 + 2 ** -13),
  },
];

/** Names of the canaries that get another result on this provider, with that result. */
export async function failingCanaries(
  provider: Provider,
  threads: number,
  tried: readonly Canary[] = canaries,
): Promise<string[]> {
  await using thread = new SessionThread({ provider, threads });
  const failing: string[] = [];
  for (const canary of tried) {
    const fault = await faultOf(canary, thread, provider).catch((error: unknown) =>
      error instanceof Error ? error.message : String(error),
    );
    if (fault !== undefined) failing.push(`${canary.name}: ${fault}`);
  }
  return failing;
}

async function faultOf(
  { name, feeds, build, expected }: Canary,
  thread: SessionThread,
  provider: Provider,
): Promise<string | undefined> {
  const graph = createGraph();
  graph.output('result', build(graph));
  await thread.open(name, serialise(graph, provider.target));
  const result = (await thread.run(name, feeds)).get('result') ?? Float32Array.of(Number.NaN);
  const wrong = result.find((value) => !(Math.abs(value / expected - 1) < 1e-5));
  return wrong === undefined ? undefined : `${wrong}, not ${expected}`;
}

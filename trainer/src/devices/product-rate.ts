import { createGraph } from '../ops/table.ts';
import { gemm } from '../ops/calls.ts';
import { serialise } from '../graph/serialise.ts';
import { SessionThread } from '../session/session-thread.ts';
import type { Provider } from '../session/device.ts';

const size = 512;

/** Billions of floating-point operations a second in a float32 product of [512, 512] matrices, transfers included. */
export async function productRate(provider: Provider, threads: number): Promise<number> {
  const graph = createGraph();
  const matrix = graph.input('matrix', 'float32', [size, size]);
  graph.output('product', gemm(matrix, matrix));
  await using thread = new SessionThread({ provider, threads });
  await thread.open('product', serialise(graph, provider.target));
  const feeds = (): Parameters<typeof thread.run>[1] => [
    { name: 'matrix', shape: [size, size], data: new Float32Array(size * size).fill(0.5) },
  ];
  // The first run compiles shaders and touches fresh pages.
  await thread.run('product', feeds());
  const start = performance.now();
  await thread.run('product', feeds());
  return (2 * size ** 3) / ((performance.now() - start) * 1e6);
}

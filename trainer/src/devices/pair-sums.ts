import { serialise } from '../graph/serialise.ts';
import { quantisedProduct } from '../ops/calls.ts';
import { createGraph } from '../ops/table.ts';
import { providerFor } from '../session/device.ts';
import { SessionThread } from '../session/session-thread.ts';

const inner = 64;
let known: Promise<boolean> | undefined;

/**
 * Whether this processor's kernels for products of bytes cut pairs of them off at 32,767, as vpmaddubsw does on x86
 * without VNNI. Measured once in a process: no processor says which kernel the runtime takes.
 */
export const pairsSaturate = (): Promise<boolean> => (known ??= measure());

async function measure(): Promise<boolean> {
  const graph = createGraph();
  const x = graph.input('x', 'float32', [1, inner]);
  const levels = graph.constant(new Int8Array(inner * 16).fill(127), [inner, 16]);
  const scales = graph.constant(new Float32Array(16).fill(1), [16]);
  const rows = { range: 255, unsigned: true, outliers: 0 };
  graph.output('product', quantisedProduct(x, { levels, scales }, { rows }));
  const provider = providerFor('cpu');
  await using thread = new SessionThread({ provider, threads: 1 });
  await thread.open('pairs', serialise(graph, provider.target));
  const feeds = [{ name: 'x', shape: [1, inner], data: new Float32Array(inner).fill(1) }];
  const [sum = 0] = (await thread.run('pairs', feeds)).get('product') ?? [];
  return sum < 0.99 * inner * 127;
}

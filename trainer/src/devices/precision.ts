import { WeftError } from '@weft/shared';
import type { ProductType } from '../graph/types.ts';
import { gemm, cast } from '../ops/calls.ts';
import { createGraph } from '../ops/table.ts';
import { serialise } from '../graph/serialise.ts';
import { type Provider, providerFor } from '../session/device.ts';
import { SessionThread } from '../session/session-thread.ts';

export const precisions = ['fp32', 'fp16', 'bf16'] as const;
/** The type in which products are computed; everything else is float32 (ops/mixed-precision.ts). */
export type Precision = (typeof precisions)[number];

export const productTypes: Readonly<Record<Precision, ProductType>> = {
  fp32: 'float32',
  fp16: 'float16',
  bf16: 'bfloat16',
};

/** What suits a provider; the CPU computes halves only by way of float32. */
const suited: Partial<Record<Provider['name'], Precision>> = { webgpu: 'fp16', cuda: 'bf16' };

/**
 * The precision that was asked for, or for `auto` the one that suits the provider. Whether the GPU at hand has it is
 * found out by a product.
 * @throws WEFT_PRECISION_UNSUPPORTED
 */
export async function choosePrecision(
  asked: Precision | 'auto',
  device: Provider['name'],
  threads: number,
): Promise<Precision> {
  const provider = providerFor(device);
  const precision = asked === 'auto' ? (suited[device] ?? 'fp32') : asked;
  if (!precisions.includes(precision))
    throw new WeftError(
      'WEFT_TRAINING_BAD_OPTION',
      `precision is ${precision}, it can be auto, ${precisions.join(', ')}`,
    );
  if (precision === 'fp32') return precision;
  const fault = await productFault(provider, precision, threads);
  if (fault === undefined) return precision;
  if (asked === 'auto') return 'fp32';
  throw new WeftError('WEFT_PRECISION_UNSUPPORTED', `device ${device} has no products in ${precision}: ${fault}`, {
    device,
    precision,
  });
}

const known = new Map<string, Promise<string | undefined>>();

/** Why a product in half precision cannot be had; tried once in a process. */
export function productFault(provider: Provider, precision: Precision, threads: number): Promise<string | undefined> {
  if (provider.name === 'webgpu' && precision === 'bf16') return Promise.resolve('WebGPU has no bfloat16');
  const key = `${provider.name} ${precision}`;
  const verdict = known.get(key) ?? tryProduct(provider, precision, threads);
  known.set(key, verdict);
  return verdict;
}

async function tryProduct(provider: Provider, precision: Precision, threads: number): Promise<string | undefined> {
  const graph = createGraph();
  const half = cast(graph.input('x', 'float32', [2, 2]), productTypes[precision]);
  graph.output('y', cast(gemm(half, half), 'float32'));
  try {
    await using thread = new SessionThread({ provider, threads });
    await thread.open('product', serialise(graph, provider.target));
    const y = (await thread.run('product', [{ name: 'x', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }])).get('y');
    return y?.join() === '7,10,15,22' ? undefined : `it computes ${y?.join() ?? 'nothing'}, not 7,10,15,22`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

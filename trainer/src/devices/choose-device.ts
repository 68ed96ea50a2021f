import { WeftError } from '@weft/shared';
import type { StoredDtype, TensorRef } from '../weights/tensor-ref.ts';
import { type Device, type Provider, providerFor } from '../session/device.ts';
import { missing, obstacle } from './obstacle.ts';
import { productRate } from './product-rate.ts';

/** What there is to choose from, by what it is good for: the first that loads and beats the CPU is taken. */
const preference = ['cuda', 'dml', 'coreml', 'webgpu'] as const;

export interface ChosenDevice {
  readonly provider: Provider;
  /** Why this one and no other, for people. */
  readonly why: string;
}

/** Weights in the types that they have on disk. */
type Tensors = ReadonlyMap<string, Pick<TensorRef<StoredDtype>, 'dtype'>>;

/**
 * The device that was asked for, or the best one for this model. A device that cannot run is no error for `auto`; that
 * it loads is not enough either, because a software driver or a small GPU can be slower than the CPU.
 */
export async function chooseDevice(device: Device, tensors: Tensors, threads: number): Promise<ChosenDevice> {
  if (device !== 'auto') {
    const provider = providerFor(device);
    const lacking = missing(provider.name);
    if (lacking !== undefined) throw new WeftError('WEFT_DEVICE_MISSING', `device ${device}: ${lacking}`, { device });
    const why = unfit(provider.name, tensors);
    if (why !== undefined) throw new WeftError('WEFT_TRAINING_DEVICE', `device ${device}: ${why}`, { device });
    return { provider, why: 'asked for' };
  }
  const passedOver: string[] = [];
  for (const name of preference) {
    const why = unfit(name, tensors) ?? obstacle(name) ?? (await slowness(name, threads));
    if (why === undefined)
      return { provider: providerFor(name), why: ['the best that loads', ...passedOver].join('; ') };
    passedOver.push(`${name}: ${why}`);
  }
  return { provider: providerFor('cpu'), why: passedOver.join('; ') };
}

/**
 * Products of int8 levels are kernels of the CPU's own. WebGPU's Cast knows no bfloat16, and a fall-back to the CPU is
 * forbidden there.
 */
function unfit(device: Provider['name'], tensors: Tensors): string | undefined {
  if (device !== 'cpu' && [...tensors.values()].some(({ dtype }) => dtype === 'I8'))
    return 'it has no products of int8 weights';
  if (device !== 'webgpu') return undefined;
  const count = [...tensors.values()].filter(({ dtype }) => dtype === 'BF16').length;
  return count === 0
    ? undefined
    : `it has no bfloat16, the type of ${count} of the model's tensors; --base fp16 holds them in another`;
}

const known = new Map<string, Promise<string | undefined>>();

/** Why the CPU is the better choice; measured once in a process. */
function slowness(device: Provider['name'], threads: number): Promise<string | undefined> {
  const key = `${device} ${threads}`;
  const verdict = known.get(key) ?? compareWithCpu(device, threads);
  known.set(key, verdict);
  return verdict;
}

async function compareWithCpu(device: Provider['name'], threads: number): Promise<string | undefined> {
  try {
    const rate = await productRate(providerFor(device), threads);
    const cpuRate = await productRate(providerFor('cpu'), threads);
    return rate > cpuRate ? undefined : `${rate.toFixed(0)} GFLOP/s, and the CPU has ${cpuRate.toFixed(0)}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

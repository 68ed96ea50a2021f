import { WeftError } from '@weft/shared';
import type { EmitTarget } from '../graph/types.ts';

export const devices = ['auto', 'cpu', 'webgpu', 'cuda', 'dml', 'coreml'] as const;
export type Device = (typeof devices)[number];

/** An execution provider of ONNX Runtime, and the kernels that graphs for it may use. */
export interface Provider {
  readonly name: Exclude<Device, 'auto'>;
  readonly target: EmitTarget;
}

/** By name alone: `auto` is the CPU here, and what the machine has decides it in `devices/choose-device.ts`. */
export function providerFor(device: Device): Provider {
  if (!devices.includes(device)) {
    throw new WeftError('WEFT_TRAINING_BAD_OPTION', `device is ${String(device)}, it can be ${devices.join(', ')}`);
  }
  return device === 'auto' || device === 'cpu' ? { name: 'cpu', target: 'cpu' } : { name: device, target: 'portable' };
}

import { WeftError } from '@weft/shared';
import type { EmitTarget } from '../graph/types.ts';

export const devices = ['auto', 'cpu', 'webgpu', 'cuda', 'dml', 'coreml'] as const;
export type Device = (typeof devices)[number];

/** An execution provider of ONNX Runtime, and the kernels that graphs for it may use. */
export interface Provider {
  readonly name: Exclude<Device, 'auto'>;
  readonly target: EmitTarget;
}

/** Where state can stay between runs: CUDA's provider copies all inputs and outputs at every run (from JavaScript). */
export const statePlaces: Readonly<Record<Provider['name'], 'host' | 'device'>> = {
  cpu: 'host',
  webgpu: 'device',
  cuda: 'host',
  dml: 'host',
  coreml: 'host',
};

/** What a provider wants of the system beside ONNX Runtime, for the error when it does not load. */
export const needs: Readonly<Record<Provider['name'], string>> = {
  cpu: 'nothing',
  webgpu: 'a GPU driver: Vulkan on Linux (Debian: apt install mesa-vulkan-drivers libvulkan1), Direct3D 12 or Metal',
  cuda: "NVIDIA's driver 525 or newer, and CUDA 12 with cuDNN 9 where the loader finds them (LD_LIBRARY_PATH)",
  dml: 'a GPU driver for DirectX 12',
  coreml: 'a version of macOS that ONNX Runtime supports',
};

/** By name alone: `auto` is the CPU here, and what the machine has decides it in `devices/choose-device.ts`. */
export function providerFor(device: Device): Provider {
  if (!devices.includes(device)) {
    throw new WeftError('WEFT_TRAINING_BAD_OPTION', `device is ${String(device)}, it can be ${devices.join(', ')}`);
  }
  return device === 'auto' || device === 'cpu' ? { name: 'cpu', target: 'cpu' } : { name: device, target: 'portable' };
}

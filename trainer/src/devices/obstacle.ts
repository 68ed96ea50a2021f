import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type * as OnnxRuntime from 'onnxruntime-node';
import type { Provider } from '../session/device.ts';

const require = createRequire(import.meta.url);
/** Loaded when it is asked something: a session has it in a thread of its own, and this one may do without. */
const runtime = (): typeof OnnxRuntime => require('onnxruntime-node');

/** Of ONNX Runtime. */
export const runtimeVersion = (): string => {
  const { versions } = runtime().env;
  return versions.node ?? versions.common;
};

/** Providers that ONNX Runtime has on one platform alone. */
const onlyOn: Partial<Record<Provider['name'], { readonly platform: NodeJS.Platform; readonly spoken: string }>> = {
  dml: { platform: 'win32', spoken: 'Windows' },
  coreml: { platform: 'darwin', spoken: 'macOS' },
};

/**
 * Why a device cannot be had here, as far as it shows without loading its provider: loading one that fails writes to
 * standard error. Undefined where only trying will tell.
 */
export function missing(device: Provider['name']): string | undefined {
  if (device === 'cpu') return undefined;
  const only = onlyOn[device];
  const found = only === undefined || only.platform === process.platform;
  if (
    !found ||
    !runtime()
      .listSupportedBackends()
      .some(({ name }) => name === device)
  ) {
    const where = only === undefined ? '' : `; ${device} is for ${only.spoken}`;
    return `ONNX Runtime has no such provider for ${process.platform} ${process.arch}${where}`;
  }
  if (device !== 'cuda') return undefined;
  const reasons = [hasNvidiaGpu() ? undefined : 'this machine shows no NVIDIA GPU', cudaLibraries()];
  return reasons.filter((reason) => reason !== undefined).join('; ') || undefined;
}

/** The same for a device that nobody asked for: WebGPU takes a software Vulkan for a GPU. */
export const obstacle = (device: Provider['name']): string | undefined =>
  missing(device) ??
  (device === 'webgpu' && process.platform === 'linux' && !hasGpu() ? 'this machine has no GPU' : undefined);

/** What the npm package leaves out of the CUDA provider, and the step that fetches it. */
function cudaLibraries(): string | undefined {
  const folder = path.dirname(require.resolve('onnxruntime-node/package.json'));
  const installed = readdirSync(path.join(folder, 'bin'), { recursive: true }).some((file) =>
    /onnxruntime_providers_cuda\.(so|dll)$/.test(String(file)),
  );
  const step = `node "${path.join(folder, 'script', 'install.js')}" --onnxruntime-node-install=cuda12`;
  return installed ? undefined : `ONNX Runtime's CUDA libraries are not installed, fetch them with: ${step}`;
}

/** Windows and its Linux guests have no device file of NVIDIA's. */
const hasNvidiaGpu = (): boolean => process.platform !== 'linux' || ['/dev/nvidiactl', '/dev/dxg'].some(existsSync);

/** A GPU's render node, or NVIDIA's own device. Without either a Vulkan that answers is software, such as lavapipe. */
const hasGpu = (): boolean =>
  existsSync('/dev/nvidiactl') ||
  (existsSync('/dev/dri') && readdirSync('/dev/dri').some((file) => file.startsWith('renderD')));

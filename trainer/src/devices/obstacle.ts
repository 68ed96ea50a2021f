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
const onlyOn: Partial<Record<Provider['name'], NodeJS.Platform>> = { dml: 'win32', coreml: 'darwin' };

const cudaInstallStep = 'ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node';

/**
 * Why a device cannot be had here, as far as it shows without loading its provider: loading one that fails writes to
 * standard error, and WebGPU takes a software Vulkan for a GPU. Undefined where only trying will tell.
 */
export function obstacle(device: Provider['name']): string | undefined {
  if (device === 'cpu') return undefined;
  if (device === 'cuda' && process.platform === 'linux' && !existsSync('/dev/nvidiactl'))
    return 'this machine has no NVIDIA GPU';
  if (device === 'webgpu' && process.platform === 'linux' && !hasGpu()) return 'this machine has no GPU';
  const platform = onlyOn[device] ?? process.platform;
  if (
    platform !== process.platform ||
    !runtime()
      .listSupportedBackends()
      .some(({ name }) => name === device)
  ) {
    return `ONNX Runtime has no such provider for ${process.platform} ${process.arch}`;
  }
  return device === 'cuda' ? cudaObstacle() : undefined;
}

function cudaObstacle(): string | undefined {
  const entry = require.resolve('onnxruntime-node/package.json');
  const binaries = path.join(path.dirname(entry), 'bin');
  const installed = readdirSync(binaries, { recursive: true }).some((file) =>
    /onnxruntime_providers_cuda\.(so|dll)$/.test(String(file)),
  );
  return installed ? undefined : `its libraries are not installed: ${cudaInstallStep}`;
}

/** A GPU's render node, or NVIDIA's own device. Without either a Vulkan that answers is software, such as lavapipe. */
const hasGpu = (): boolean =>
  existsSync('/dev/nvidiactl') ||
  (existsSync('/dev/dri') && readdirSync('/dev/dri').some((file) => file.startsWith('renderD')));

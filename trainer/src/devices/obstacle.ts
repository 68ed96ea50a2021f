import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { env, listSupportedBackends } from 'onnxruntime-node';
import type { Provider } from '../session/device.ts';

/** Of ONNX Runtime. */
export const runtimeVersion: string = env.versions.node ?? env.versions.common;

const cudaInstallStep = 'ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node';

/**
 * Why a device cannot be had here, as far as it shows without loading its provider: loading one that fails writes to
 * standard error, and WebGPU takes a software Vulkan for a GPU. Undefined where only trying will tell.
 */
export function obstacle(device: Provider['name']): string | undefined {
  if (device === 'cpu') return undefined;
  if (!listSupportedBackends().some(({ name }) => name === device)) {
    return `ONNX Runtime has no such provider for ${process.platform} ${process.arch}`;
  }
  if (device === 'cuda') return cudaObstacle();
  if (device === 'webgpu' && process.platform === 'linux' && !hasGpu()) return 'this machine has no GPU';
  return undefined;
}

function cudaObstacle(): string | undefined {
  if (process.platform === 'linux' && !existsSync('/dev/nvidiactl')) return 'this machine has no NVIDIA GPU';
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
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

import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

/** A GPU that the system's own driver shows, whether or not a provider can use it. */
export interface Gpu {
  readonly name: string;
  readonly driver: string;
  readonly memoryBytes?: number;
  readonly freeMemoryBytes?: number;
}

export interface Drivers {
  readonly gpus: readonly Gpu[];
  /** Vulkan drivers by the names of their manifests; `lvp` is lavapipe, which computes on the CPU. */
  readonly vulkan: readonly string[];
}

/** What there is of drivers; nothing is loaded. `root` is where `/sys`, `/usr` and `/etc` lie. */
export async function surveyDrivers(root = '/'): Promise<Drivers> {
  return {
    gpus: [...parseNvidiaSmi(await askNvidiaSmi()), ...(await drmGpus(path.join(root, 'sys/class/drm')))],
    vulkan: await vulkanManifests(root),
  };
}

const nvidiaSmiFields = 'name,driver_version,memory.total,memory.free';
/** A driver that hangs must not hang us. */
const patienceMs = 5_000;

async function askNvidiaSmi(): Promise<string> {
  try {
    const flags = [`--query-gpu=${nvidiaSmiFields}`, '--format=csv,noheader,nounits'];
    return (await promisify(execFile)('nvidia-smi', flags, { timeout: patienceMs })).stdout;
  } catch {
    return ''; // no NVIDIA driver here
  }
}

/** Lines `NVIDIA H100 80GB HBM3, 550.54.15, 81559, 81000`; memory in MiB, `[N/A]` where it is shared with the CPU. */
export const parseNvidiaSmi = (csv: string): Gpu[] =>
  csv.split('\n').flatMap((line) => {
    const [name, version, total, free] = line.split(',').map((field) => field.trim());
    if (!name || !version) return [];
    return [
      {
        name,
        driver: `nvidia ${version}`,
        ...mebibytes('memoryBytes', total),
        ...mebibytes('freeMemoryBytes', free),
      },
    ];
  });

const mebibytes = <Key extends string>(key: Key, text: string | undefined): { [K in Key]?: number } =>
  text !== undefined && /^\d+$/.test(text) ? ({ [key]: Number(text) * 2 ** 20 } as { [K in Key]?: number }) : {};

const vendors: Readonly<Record<string, string>> = { '0x1002': 'AMD', '0x8086': 'Intel', '0x106b': 'Apple' };

/** GPUs of Linux's direct rendering manager; NVIDIA's own driver says more through nvidia-smi. */
async function drmGpus(folder: string): Promise<Gpu[]> {
  const nodes = (await names(folder)).filter((name) => name.startsWith('renderD'));
  const found = await Promise.all(
    nodes.map(async (node): Promise<Gpu | undefined> => {
      const device = path.join(folder, node, 'device');
      const driver = path.basename(await readlink(path.join(device, 'driver')).catch(() => 'unknown'));
      if (driver === 'nvidia') return undefined;
      const vendor = await firstLine(path.join(device, 'vendor'));
      const [total, used] = [await bytesIn(device, 'total'), await bytesIn(device, 'used')];
      return {
        name: `${vendors[vendor] ?? `vendor ${vendor || 'unknown'}`}, ${node}`,
        driver,
        ...(total !== undefined && { memoryBytes: total }),
        ...(total !== undefined && used !== undefined && { freeMemoryBytes: total - used }),
      };
    }),
  );
  return found.filter((gpu) => gpu !== undefined);
}

/** amdgpu's; other drivers do not say. */
async function bytesIn(device: string, what: 'total' | 'used'): Promise<number | undefined> {
  const text = await firstLine(path.join(device, `mem_info_vram_${what}`));
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

/** Folders of manifests in the loader's order (Vulkan-Loader, LoaderDriverInterface.md), those of one user left out. */
const manifestFolders = ['etc/vulkan/icd.d', 'usr/local/share/vulkan/icd.d', 'usr/share/vulkan/icd.d'];

async function vulkanManifests(root: string): Promise<string[]> {
  const files = (await Promise.all(manifestFolders.map((folder) => names(path.join(root, folder))))).flat();
  const drivers = files.filter((file) => file.endsWith('.json'));
  return [...new Set(drivers.map((file) => file.replace(/(_icd)?(\.[\w-]+)?\.json$/, '')))].toSorted();
}

const names = (folder: string): Promise<string[]> => readdir(folder).catch(() => []);

const firstLine = async (file: string): Promise<string> =>
  (await readFile(file, 'utf8').catch(() => '')).split('\n', 1)[0]?.trim() ?? '';

import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { parseNvidiaSmi, surveyDrivers } from './drivers.ts';

it('names the GPUs of nvidia-smi with their memory, where it has one of its own', () => {
  const csv = 'NVIDIA H100 80GB HBM3, 550.54.15, 81559, 80994\nNVIDIA GB10, 580.95.05, [N/A], [N/A]\n\n';
  expect(parseNvidiaSmi(csv)).toEqual([
    {
      name: 'NVIDIA H100 80GB HBM3',
      driver: 'nvidia 550.54.15',
      memoryBytes: 81559 * 2 ** 20,
      freeMemoryBytes: 80994 * 2 ** 20,
    },
    { name: 'NVIDIA GB10', driver: 'nvidia 580.95.05' },
  ]);
  expect(parseNvidiaSmi('No devices were found')).toEqual([]);
});

it("reads Linux's own list of GPUs and the manifests of Vulkan drivers", async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'weft-drivers-'));
  try {
    const device = path.join(root, 'sys/class/drm/renderD128/device');
    await mkdir(device, { recursive: true });
    await writeFile(path.join(device, 'vendor'), '0x1002\n');
    await writeFile(path.join(device, 'mem_info_vram_total'), '8573157376\n');
    await writeFile(path.join(device, 'mem_info_vram_used'), '573157376\n');
    await symlink('../../../bus/pci/drivers/amdgpu', path.join(device, 'driver'));
    const manifests = path.join(root, 'usr/share/vulkan/icd.d');
    await mkdir(manifests, { recursive: true });
    for (const name of ['lvp_icd.x86_64.json', 'radeon_icd.json', 'README'])
      await writeFile(path.join(manifests, name), '');
    const { gpus, vulkan } = await surveyDrivers(root);
    const amd = { name: 'AMD, renderD128', driver: 'amdgpu', memoryBytes: 8573157376, freeMemoryBytes: 8000000000 };
    expect(gpus.at(-1)).toEqual(amd);
    expect(vulkan).toEqual(['lvp', 'radeon']);
  } finally {
    await rm(root, { recursive: true });
  }
});

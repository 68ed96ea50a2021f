import { describe, expect, it } from 'vitest';
import { findVulkan, skips } from '../../../test/conformance/python.ts';
import { canaries, failingCanaries } from './canaries.ts';
import { choosePrecision, productFault } from './precision.ts';
import { providerFor } from '../session/device.ts';
import { surveyDevices } from './survey.ts';

describe('the survey of devices', () => {
  it('finds the CPU right and names what keeps others from loading', async () => {
    const surveyed = await surveyDevices(1);
    expect(surveyed.find(({ device }) => device === 'cpu')).toMatchObject({
      loads: true,
      canaries: { right: canaries.length, of: canaries.length },
      problems: [],
    });
    expect(surveyed.filter(({ loads, problems }) => !loads && problems.length === 0)).toEqual([]);
  });

  it('names a canary that gives another number, with both numbers', async () => {
    const damaged = canaries.map((canary) => ({ ...canary, expected: canary.expected * 1.001 }));
    const failing = await failingCanaries(providerFor('cpu'), 1, damaged);
    expect(failing).toHaveLength(canaries.length);
    expect(failing[1]).toBe(`rows that scatter to one index are all added: 512, not ${512 * 1.001}`);
  });

  it.skipIf(skips('webgpu', { 'a Vulkan driver': findVulkan() }))('WebGPU gives the right numbers', async () => {
    expect(await failingCanaries(providerFor('webgpu'), 1)).toEqual([]);
    expect(await choosePrecision('auto', 'webgpu', 1)).toBe('fp16');
    expect(await productFault(providerFor('webgpu'), 'bf16', 1)).toContain('no bfloat16');
  });
});

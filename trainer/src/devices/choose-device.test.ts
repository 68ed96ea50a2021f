import { WeftError } from '@weft/shared';
import { describe, expect, it } from 'vitest';
import { chooseDevice } from './choose-device.ts';
import { missing, obstacle } from './obstacle.ts';

const widths = (dtype: 'F32' | 'BF16'): ReadonlyMap<string, { dtype: 'F32' | 'BF16' }> =>
  new Map([['model.norm.weight', { dtype }]]);

describe('the device', () => {
  it('is the one that was asked for, without trying it', async () => {
    const { provider } = await chooseDevice('webgpu', widths('F32'), 1);
    expect(provider).toEqual({ name: 'webgpu', target: 'portable' });
  });

  it('webgpu is refused for a model of bfloat16, before anything is loaded', async () => {
    const choice = chooseDevice('webgpu', widths('BF16'), 1);
    await expect(choice).rejects.toThrow(WeftError);
    await expect(choice).rejects.toThrow(/webgpu: it has no bfloat16, the type of 1 /);
  });

  it('auto has a reason for each better device that it leaves out', async () => {
    const { provider, why } = await chooseDevice('auto', widths('BF16'), 1);
    const better = ['cuda', 'dml', 'coreml', 'webgpu', 'cpu'];
    for (const name of better.slice(0, better.indexOf(provider.name))) expect(why).toContain(`${name}: `);
  });

  const foreign = process.platform === 'darwin' ? 'dml' : 'coreml';

  it('one that was asked for and cannot be had is refused with what it is for', async () => {
    const choice = chooseDevice(foreign, widths('F32'), 1);
    await expect(choice).rejects.toMatchObject({
      code: 'WEFT_DEVICE_MISSING',
      message: expect.stringMatching(
        /^device \w+: ONNX Runtime has no such provider for .*; \w+ is for (Windows|macOS)$/,
      ),
      todo: expect.stringContaining('weft doctor'),
    });
  });

  it.skipIf(missing('cuda') === undefined)('cuda that is not installed is refused with the step to take', async () => {
    const choice = chooseDevice('cuda', widths('F32'), 1);
    const step = /no such provider for|NVIDIA GPU|node ".*install\.js" --onnxruntime-node-install=cuda12/;
    await expect(choice).rejects.toMatchObject({ code: 'WEFT_DEVICE_MISSING', message: expect.stringMatching(step) });
  });

  it('an unknown name is refused with those that there are', async () => {
    await expect(chooseDevice('gpu' as 'cpu', widths('F32'), 1)).rejects.toThrow(/cpu, webgpu, cuda/);
  });

  it('a provider that this platform has not got is an obstacle by itself', () => {
    expect(obstacle(foreign)).toMatch(/no such provider/);
    expect(obstacle('cpu')).toBeUndefined();
  });
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAdapterLayout } from '@weft/shared';
import {
  holdBase,
  initAdapter,
  openModel,
  train,
  type Device,
  type Evaluation,
  type Example,
  type Model,
  type Precision,
} from '@weft/trainer';
import { afterAll, describe, expect, test } from 'vitest';
import { findVulkan, skips } from '../conformance/python.ts';

const model = await openModel(fileURLToPath(new URL('../../models/weft-tiny-llama', import.meta.url)));
const layout = createAdapterLayout(model.config, { rank: 4, alpha: 8, targets: ['q_proj', 'v_proj', 'down_proj'] });

/** Two rows a step, of no meaning but the same on both devices. */
const examples = Array.from({ length: 8 }, (_, row): Example => {
  const ids = Int32Array.from({ length: 16 }, (_, i) => (37 * row + 101 * i + 7 * i * i) % model.config.vocabSize);
  return { inputIds: ids, labels: ids };
});

async function trainOn(
  device: Device,
  steps: number,
  precision: Precision = 'fp32',
  held: Model = model,
): Promise<{ losses: number[]; adapter: Float32Array }> {
  const run = train({
    model: held,
    layout,
    adapter: initAdapter(layout, 1),
    examples,
    steps,
    batchSize: 2,
    sequenceLength: 16,
    learningRate: 5e-3,
    clipGradNorm: 1,
    device,
    precision,
  });
  const losses: number[] = [];
  while (true) {
    const next = await run.next();
    if (next.done) return { losses, adapter: next.value.adapter };
    losses.push(next.value.loss);
  }
}

/** Factor B alone, A being no more than read: what each of three steps leaves, and the held-out loss around them. */
async function readBetweenSteps(device: Device): Promise<number[][]> {
  const read: number[][] = [];
  const validation = {
    examples: examples.slice(0, 2),
    everySteps: 1,
    onScore: (_: number, { lossSum, tokens }: Evaluation): void => void read.push([lossSum / tokens]),
  };
  const adapter = initAdapter(layout, 1);
  const run = train({ model, layout, adapter, examples, trains: 'B', steps: 3, batchSize: 2, device, validation });
  for await (const { snapshot } of run) {
    const { adapter: values, firstMoment } = await snapshot();
    read.push([...values, ...firstMoment]);
  }
  return read;
}

const cacheDir = await mkdtemp(join(tmpdir(), 'weft-webgpu-'));
afterAll(() => rm(cacheDir, { recursive: true }));

describe.skipIf(skips('webgpu', { 'a Vulkan driver': findVulkan() }))('training on WebGPU', () => {
  test('a step gives the loss and the adapter that it gives on the CPU', async () => {
    const [cpu, webgpu] = [await trainOn('cpu', 1), await trainOn('webgpu', 1)];
    expect(Math.abs((webgpu.losses[0] ?? Number.NaN) - (cpu.losses[0] ?? 0))).toBeLessThan(1e-4);
    expect(Math.max(...webgpu.adapter.map((value, i) => Math.abs(value - (cpu.adapter[i] ?? 0))))).toBeLessThan(1e-4);
    expect(cpu.adapter).not.toEqual(initAdapter(layout, 1));
  }, 300_000);

  test('snapshots, scores between steps and a factor that is left alone are as on the CPU', async () => {
    const [cpu, webgpu] = [await readBetweenSteps('cpu'), await readBetweenSteps('webgpu')];
    expect(webgpu).toHaveLength(cpu.length);
    const apart = webgpu.map((values, i) =>
      Math.max(...values.map((value, j) => Math.abs(value - (cpu[i]?.[j] ?? Number.NaN)))),
    );
    expect(Math.max(...apart)).toBeLessThan(1e-4);
  }, 300_000);

  test('fifty steps learn at the same pace', async () => {
    const [cpu, webgpu] = [await trainOn('cpu', 50), await trainOn('webgpu', 50)];
    expect(cpu.losses.at(-1)).toBeLessThan((cpu.losses[0] ?? 0) / 2);
    const apart = webgpu.losses.map((loss, i) => Math.abs(loss / (cpu.losses[i] ?? Number.NaN) - 1));
    expect(apart).toHaveLength(50);
    expect(Math.max(...apart)).toBeLessThan(1e-3);
  }, 300_000);

  test('fifty steps with weights and products in fp16 have the losses of fp32 to within a fiftieth', async () => {
    const held = await holdBase(model, 'fp16', { cacheDir });
    const single = await trainOn('cpu', 50);
    const half = await trainOn('webgpu', 50, 'fp16', held);
    expect([...held.tensors.values()].some(({ dtype }) => dtype === 'F16')).toBe(true);
    const apart = half.losses.map((loss, i) => Math.abs(loss / (single.losses[i] ?? Number.NaN) - 1));
    expect(apart).toHaveLength(50);
    expect(Math.max(...apart)).toBeLessThan(0.02);
    expect(half.losses).not.toEqual(single.losses);
  }, 300_000);

  test('bf16, which WebGPU has not, is refused before anything is trained', async () => {
    await expect(trainOn('webgpu', 1, 'bf16')).rejects.toMatchObject({ code: 'WEFT_PRECISION_UNSUPPORTED' });
  });
});

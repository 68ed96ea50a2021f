import { fileURLToPath } from 'node:url';
import { createAdapterLayout } from '@weft/shared';
import { describe, expect, it } from 'vitest';
import { initAdapter } from './adapters/init-adapter.ts';
import { openModel } from './open-model.ts';
import { train, trainDefaults, type TrainOptions } from './training-run.ts';

const model = await openModel(fileURLToPath(new URL('../../models/weft-tiny-llama', import.meta.url)));
const examples = Array.from({ length: 5 }, (_, row) => {
  const inputIds = Int32Array.from({ length: 6 + row }, (_, i) => 7 * i + row);
  return { inputIds, labels: inputIds };
});
const options = { model, examples, device: 'cpu', threads: 1 } as const;

async function lossesOf(change: Partial<TrainOptions> = {}): Promise<number[]> {
  const losses: number[] = [];
  for await (const { loss } of train({ ...options, ...change })) losses.push(loss);
  return losses;
}

describe('a run of training', () => {
  it('without options is one epoch on a fresh adapter, with the numbers of the same options spelt out', async () => {
    const run = train(options);
    expect(run.steps).toBe(2);
    const losses: number[] = [];
    for await (const { loss } of run) losses.push(loss);
    const layout = createAdapterLayout(model.config, trainDefaults);
    const adapter = initAdapter(layout, 0);
    const spelt = { layout, adapter, steps: 2, batchSize: 4, sequenceLength: 10, learningRate: 1e-4, seed: 0 };
    expect(losses).toEqual(await lossesOf(spelt));
    expect(run.trained.layout).toEqual(layout);
    expect(run.trained.adapter).not.toEqual(adapter);
    expect(await lossesOf({ epochs: 2 })).toHaveLength(4);
  });

  it('that was left early has no adapter, but its last snapshot', async () => {
    const run = train({ ...options, steps: 3 });
    expect(() => run.trained).toThrow('0 of 3 steps are done');
    for await (const { snapshot } of run) {
      expect((await snapshot()).adapter).toHaveLength(createAdapterLayout(model.config, trainDefaults).size);
      break;
    }
    expect(() => run.trained).toThrow('1 of 3 steps are done');
    expect(await run.next()).toEqual({ done: true, value: undefined });
    expect(() => run.trained).toThrow('1 of 3 steps are done');
  });

  it.each([
    [{ lora: { rank: 0 } }, 'lora.rank is 0'],
    [{ lora: { rank: 1.5 } }, 'lora.rank is 1.5'],
    [{ lora: { alpha: Number.NaN } }, 'lora.alpha is NaN'],
    [{ lora: { targets: ['c_attn' as 'q_proj'] } }, 'lora.targets is c_attn'],
    [{ lora: { targets: [] } }, 'layout is without tensors'],
    [{ learningRate: -1 }, 'learningRate is -1'],
    [{ examples: [] }, 'there is no row to train on'],
  ])('refuses %o', async (change, message) => {
    await expect(lossesOf(change)).rejects.toThrow(message);
  });
});

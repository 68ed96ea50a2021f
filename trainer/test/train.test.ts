import type { Worker } from 'node:worker_threads';
import { createAdapterLayout, type TrainedFactor } from '@weft/shared';
import { describe, expect, it } from 'vitest';
import { evaluate } from '../src/evaluate.ts';
import { train } from '../src/training-run.ts';
import { trainFull } from '../src/train-full.ts';
import { toBytes, toFloats } from '../src/weights/half.ts';
import {
  golden,
  modelOnDisk,
  tinyAdapter,
  tinyConfig,
  tinyExamples,
  tinyLayout,
  tinyModel,
  tinyWeights,
} from './tiny-model.ts';

async function finish<Step, Result>(
  run: AsyncGenerator<Step, Result, void>,
): Promise<{ steps: Step[]; result: Result }> {
  const steps: Step[] = [];
  while (true) {
    const next = await run.next();
    if (next.done) return { steps, result: next.value };
    steps.push(next.value);
  }
}

const relativeError = (is: ArrayLike<number> | undefined, expected: readonly number[]): number =>
  Math.hypot(...expected.map((value, i) => value - (is?.[i] ?? Number.NaN))) / Math.hypot(...expected);

const options = {
  ...golden.options,
  schedule: 'cosine',
  examples: tinyExamples,
  batchSize: 2,
  sequenceLength: 12,
  shuffle: false,
  threads: 1,
} as const;

describe('training', () => {
  it('LoRA with warm-up, cosine, decay and clipping gives the losses and the adapter that PEFT gives', async () => {
    using model = tinyModel(false);
    const layout = tinyLayout();
    const { steps, result } = await finish(train({ ...options, model, layout, adapter: tinyAdapter(layout) }));
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    steps.forEach(({ loss }, index) => expect(loss).toBeCloseTo(golden.lora.steps.losses[index] ?? Number.NaN, 4));
    for (const { name, shape, offset } of layout.tensors) {
      const error = relativeError(
        result.adapter.subarray(offset, offset + shape[0] * shape[1]),
        golden.lora.steps.final[name] ?? [],
      );
      expect([name, error < 1e-3]).toEqual([name, true]);
    }
    expect(result).toMatchObject({ tokens: 6 * 13, examples: 12 });
  });

  it('all weights, the head tied to the embeddings, gives the losses and the weights that transformers gives', async () => {
    const { steps, result } = await finish(
      trainFull({ ...options, config: tinyConfig(true), weights: tinyWeights(true) }),
    );
    steps.forEach(({ loss }, index) => expect(loss).toBeCloseTo(golden.full.steps.losses[index] ?? Number.NaN, 4));
    for (const [name, values] of Object.entries(golden.full.steps.final)) {
      expect([name, relativeError(result.weights.get(name), values) < 1e-3]).toEqual([name, true]);
    }
  });

  it.each(['A', 'B'] as const)(
    'of factor %s alone leaves the other one as it was, to the bit',
    async (trains: TrainedFactor) => {
      using model = tinyModel(false);
      const layout = tinyLayout();
      const before = tinyAdapter(layout);
      const { result } = await finish(train({ ...options, steps: 3, model, layout, adapter: before, trains }));
      for (const { name, factor, shape, offset } of layout.tensors) {
        const end = offset + shape[0] * shape[1];
        const same = Buffer.from(before.slice(offset, end).buffer).equals(
          Buffer.from(result.adapter.slice(offset, end).buffer),
        );
        expect([name, same]).toEqual([name, factor !== trains]);
      }
      expect(before).toEqual(tinyAdapter(layout));
    },
  );

  it('gives the same bits twice', async () => {
    using model = tinyModel(false);
    const layout = tinyLayout();
    const once = async (): Promise<Float32Array> =>
      (
        await finish(
          train({ ...options, shuffle: true, seed: 7, batchSize: 1, model, layout, adapter: tinyAdapter(layout) }),
        )
      ).result.adapter;
    expect(await once()).toEqual(await once());
  });

  it('learns: the loss of what it trained on falls', async () => {
    using model = tinyModel(true);
    const layout = createAdapterLayout(model.config, { rank: 4, alpha: 8, targets: ['q_proj', 'v_proj', 'down_proj'] });
    const adapter = new Float32Array(layout.size).map((_, i) => Math.sin(i) / 10);
    const run = train({
      ...options,
      schedule: 'constant',
      warmupSteps: 0,
      learningRate: 0.02,
      steps: 30,
      model,
      layout,
      adapter,
    });
    const { result } = await finish(run);
    const before = await evaluate({ model, layout, adapter, examples: tinyExamples });
    const after = await evaluate({ model, layout, adapter: result.adapter, examples: tinyExamples });
    expect(after.tokens).toBe(before.tokens);
    expect(after.lossSum).toBeLessThan(0.7 * before.lossSum);
  });

  it.each(['F16', 'BF16'] as const)(
    'reads %s weights where they lie, as the float32 values that they stand for',
    async (dtype) => {
      const rounded = Array.from(
        tinyWeights(false),
        ([name, values]) => [name, toFloats(toBytes(values, dtype), dtype)] as const,
      );
      using half = tinyModel(false, dtype);
      using single = modelOnDisk(tinyConfig(false), new Map(rounded), 'F32');
      const layout = tinyLayout();
      const losses = async (model: typeof half): Promise<number[]> => {
        const { steps } = await finish(train({ ...options, steps: 2, model, layout, adapter: tinyAdapter(layout) }));
        return steps.map(({ loss }) => loss);
      };
      expect(await losses(half)).toEqual(await losses(single));
      expect((await losses(half))[0]).toBeCloseTo(golden.lora.steps.losses[0] ?? Number.NaN, 1);
    },
  );
});

describe('a run that cannot go on', () => {
  it('stops with the step when the loss is no longer a number', async () => {
    using model = tinyModel(false);
    const layout = tinyLayout();
    const run = train({
      ...options,
      schedule: 'constant',
      warmupSteps: 0,
      learningRate: 1e30,
      model,
      layout,
      adapter: tinyAdapter(layout),
    });
    await expect(finish(run)).rejects.toMatchObject({
      code: 'WEFT_TRAINING_DIVERGED',
      message: expect.stringMatching(
        /^step 2: the loss is \S+ after \d\.\d+ at the step before, .*; the learning rate of 1e\+30 is probably too high$/,
      ) as string,
      details: { step: 2 },
    });
  });

  it.each(['F32', 'F16', 'BF16'] as const)(
    'stops at the first step, and names the %s tensor of the base model, where it is that which is not finite',
    async (dtype) => {
      const weights = tinyWeights(false);
      weights.get('model.layers.1.mlp.up_proj.weight')?.fill(Number.NEGATIVE_INFINITY, 7, 8);
      using model = modelOnDisk(tinyConfig(false), weights, dtype);
      const layout = tinyLayout();
      const named = {
        code: 'WEFT_MODEL_NOT_FINITE',
        message: expect.stringContaining('up_proj.weight holds a value that is not finite (element 7)') as string,
        details: { tensor: 'model.layers.1.mlp.up_proj.weight' },
      };
      const run = train({ ...options, model, layout, adapter: tinyAdapter(layout) });
      await expect(finish(run)).rejects.toMatchObject(named);
      await expect(evaluate({ model, examples: tinyExamples })).rejects.toMatchObject(named);
    },
  );

  it('refuses an adapter that is not finite before it starts', async () => {
    using model = tinyModel(false);
    const layout = tinyLayout();
    const adapter = tinyAdapter(layout).fill(Number.NaN, 3, 4);
    await expect(finish(train({ ...options, model, layout, adapter }))).rejects.toMatchObject({
      code: 'WEFT_TRAINING_BAD_OPTION',
    });
  });

  it('stops when nothing in a batch counts', async () => {
    using model = tinyModel(false);
    const layout = tinyLayout();
    const examples = [{ inputIds: Int32Array.of(1, 2, 3), labels: Int32Array.of(1, -100, -100) }];
    const run = train({ ...options, batchSize: 1, examples, model, layout, adapter: tinyAdapter(layout) });
    await expect(finish(run)).rejects.toMatchObject({ code: 'WEFT_TRAINING_NOTHING_COUNTED' });
    await expect(evaluate({ model, examples })).rejects.toMatchObject({ code: 'WEFT_TRAINING_NOTHING_COUNTED' });
  });

  it('refuses a token that the vocabulary does not have', async () => {
    using model = tinyModel(false);
    const examples = [{ inputIds: Int32Array.of(1, 40), labels: Int32Array.of(1, 40) }];
    await expect(evaluate({ model, examples })).rejects.toMatchObject({
      code: 'WEFT_TRAINING_BAD_EXAMPLE',
      details: { id: 40 },
    });
  });

  it('refuses to score what is longer than the positions that the model has', async () => {
    using model = tinyModel(false);
    const { maxPositions } = model.config;
    const inputIds = new Int32Array(maxPositions + 1).fill(3);
    await expect(evaluate({ model, examples: [{ inputIds, labels: inputIds }] })).rejects.toMatchObject({
      code: 'WEFT_TRAINING_BAD_EXAMPLE',
      details: { tokens: maxPositions + 1, maxPositions },
    });
  });

  it('ends between two steps when it is aborted', async () => {
    using model = tinyModel(false);
    const layout = tinyLayout();
    const stop = new AbortController();
    const run = train({ ...options, model, layout, adapter: tinyAdapter(layout), signal: stop.signal });
    await run.next();
    stop.abort();
    await expect(run.next()).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('ends when the one who listens walks away', async () => {
    using model = tinyModel(false);
    const layout = tinyLayout();
    const started = new Promise<Worker>((resolve) => process.once('worker', resolve));
    for await (const { step } of train({ ...options, model, layout, adapter: tinyAdapter(layout) })) {
      expect((await started).threadId).toBeGreaterThan(0);
      if (step === 2) break;
    }
    expect((await started).threadId).toBe(-1); // of a thread that has ended
  });

  it.each([
    { steps: 0 },
    { batchSize: 1.5 },
    { sequenceLength: 65 }, // the model has 64 positions
    { learningRate: Number.NaN },
    { warmupSteps: -1 },
    { clipGradNorm: Number.POSITIVE_INFINITY },
    { adapter: new Float32Array(3) },
  ])('refuses an option out of range: %o', async (change) => {
    using model = tinyModel(false);
    const layout = tinyLayout();
    const run = train({ ...options, model, layout, adapter: tinyAdapter(layout), ...change });
    await expect(run.next()).rejects.toMatchObject({ code: 'WEFT_TRAINING_BAD_OPTION' });
  });

  it('names the device that is not there', async () => {
    using model = tinyModel(false);
    const device = process.platform === 'darwin' ? 'dml' : 'coreml';
    await expect(evaluate({ model, examples: tinyExamples, device })).rejects.toMatchObject({
      code: 'WEFT_DEVICE_MISSING',
    });
  });
});

it('evaluation sums the same loss whatever the batch size', async () => {
  using model = tinyModel(false);
  const layout = tinyLayout();
  const scores = await Promise.all(
    [1, 2, 3].map((batchSize) =>
      evaluate({ model, layout, adapter: tinyAdapter(layout), examples: tinyExamples, batchSize }),
    ),
  );
  for (const { lossSum, tokens } of scores) {
    expect(tokens).toBe(9);
    expect(lossSum / tokens).toBeCloseTo(golden.lora.untied.loss, 5);
  }
});

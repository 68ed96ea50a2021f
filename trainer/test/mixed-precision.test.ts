import { describe, expect, it } from 'vitest';
import type { TrainingState } from '../src/checkpoint/index.ts';
import type { Precision } from '../src/devices/precision.ts';
import type { LossScaleState } from '../src/optim/loss-scale.ts';
import type { StepOptions } from '../src/train.ts';
import { train } from '../src/training-run.ts';
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

/** Steps of the tiny model, with the state after each. */
async function trainTiny(
  precision: Precision,
  steps: number,
  change: Partial<StepOptions> = {},
): Promise<{ losses: number[]; states: TrainingState[] }> {
  using model = tinyModel(false);
  const layout = tinyLayout();
  const run = train({
    ...golden.options,
    model,
    layout,
    adapter: tinyAdapter(layout),
    examples: tinyExamples,
    batchSize: 2,
    sequenceLength: 12,
    learningRate: 2e-3,
    threads: 1,
    device: 'cpu',
    precision,
    ...change,
    steps,
  });
  const losses: number[] = [];
  const states: TrainingState[] = [];
  for await (const { loss, snapshot } of run) {
    losses.push(loss);
    states.push(await snapshot());
  }
  return { losses, states };
}

const startingWith = (lossScale: LossScaleState): TrainingState => {
  const adapter = tinyAdapter(tinyLayout());
  const zeros = (): Float32Array => new Float32Array(adapter.length);
  return { step: 0, tokens: 0, examples: 0, adapter, firstMoment: zeros(), secondMoment: zeros(), lossScale };
};

describe('products in half precision', () => {
  // A product's operands are rounded by at most 2⁻¹¹ and 2⁻⁸ of themselves; fifty steps may carry that to sixteen times.
  it.each([
    ['fp16', 2 ** -7],
    ['bf16', 2 ** -4],
  ] as const)('%s: fifty steps have the losses of float32, each to within %f of it', async (precision, tolerance) => {
    // From a scale at which nothing overflows: a step that is skipped would put the losses one step behind.
    const half = await trainTiny(precision, 50, { resumeFrom: startingWith({ scale: 2 ** 10, goodSteps: 0 }) });
    const single = await trainTiny('fp32', 50);
    expect(single.losses.at(-1)).toBeLessThan((single.losses[0] ?? 0) / 2);
    expect(half.losses).not.toEqual(single.losses);
    const apart = half.losses.map((loss, i) => Math.abs(loss / (single.losses[i] ?? Number.NaN) - 1));
    expect(apart).toHaveLength(50);
    expect(Math.max(...apart)).toBeLessThan(tolerance);
    expect(half.states.at(-1)?.skippedSteps).toBe(0);
  });

  it('a run that is resumed has the losses and the bits of the unbroken one', async () => {
    const whole = await trainTiny('fp16', 6);
    const rest = await trainTiny('fp16', 6, { resumeFrom: whole.states[2] });
    expect(rest.losses).toEqual(whole.losses.slice(3));
    expect(rest.states.at(-1)).toEqual(whole.states.at(-1));
  });
});

it('a model whose values float16 cannot hold is told from a learning rate that is too high', async () => {
  const weights = tinyWeights(false);
  for (const name of ['gate_proj', 'up_proj']) weights.get(`model.layers.1.mlp.${name}.weight`)?.fill(200);
  using large = modelOnDisk(tinyConfig(false), weights, 'F32');
  expect((await trainTiny('fp32', 1, { model: large })).losses[0]).toBeLessThan(1e9);
  await expect(trainTiny('fp16', 1, { model: large })).rejects.toMatchObject({
    code: 'WEFT_TRAINING_DIVERGED',
    message: expect.stringContaining('beyond float16, which reaches to 65504 (try precision bf16 or fp32)') as string,
  });
});

describe('the loss scale', () => {
  it('is taken out of the gradients again: after one step the moments are those of float32', async () => {
    const unclipped = { clipGradNorm: 0, warmupSteps: 0 };
    const resumeFrom = startingWith({ scale: 2 ** 10, goodSteps: 0 });
    const [single, half] = [
      await trainTiny('fp32', 1, unclipped),
      await trainTiny('fp16', 1, { ...unclipped, resumeFrom }),
    ];
    const [expected, is] = [single, half].map(({ states }) => states[0]?.firstMoment ?? new Float32Array());
    const apart = Math.hypot(...(expected ?? []).map((value, i) => value - (is?.[i] ?? Number.NaN)));
    expect(apart / Math.hypot(...(expected ?? []))).toBeLessThan(2 ** -6);
  });

  it('halves at a step whose gradients are not finite, and that step changes nothing else', async () => {
    const start = startingWith({ scale: 2 ** 30, goodSteps: 7 });
    const { losses, states } = await trainTiny('fp16', 3, { resumeFrom: start });
    for (const [index, state] of states.entries()) {
      expect(state.lossScale).toEqual({ scale: 2 ** (29 - index), goodSteps: 0 });
      expect(state.skippedSteps).toBe(index + 1);
      expect(state.adapter).toEqual(start.adapter);
      expect(state.secondMoment).toEqual(start.secondMoment);
    }
    expect(losses.every((loss) => Number.isFinite(loss))).toBe(true);
  });

  it('doubles after two thousand good steps', async () => {
    const { states } = await trainTiny('fp16', 2, { resumeFrom: startingWith({ scale: 2 ** 10, goodSteps: 1998 }) });
    expect(states.map(({ lossScale }) => lossScale)).toEqual([
      { scale: 2 ** 10, goodSteps: 1999 },
      { scale: 2 ** 11, goodSteps: 0 },
    ]);
    expect(states.at(-1)?.skippedSteps).toBe(0);
  });

  it('skipped steps leave no trace: those after them are those of a run that began later', async () => {
    const constant = { warmupSteps: 0, schedule: 'constant', shuffle: false, batchSize: tinyExamples.length } as const;
    const scale = 2 ** 10;
    const plain = await trainTiny('fp16', 2, { ...constant, resumeFrom: startingWith({ scale, goodSteps: 0 }) });
    const late = { ...startingWith({ scale, goodSteps: 0 }), step: 3, skippedSteps: 3 };
    const after = await trainTiny('fp16', 5, { ...constant, resumeFrom: late });
    expect(after.losses).toEqual(plain.losses);
    expect(after.states.at(-1)?.adapter).toEqual(plain.states.at(-1)?.adapter);
  });
});

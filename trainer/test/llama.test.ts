import { describe, expect, it } from 'vitest';
import { trainedInput } from '../src/adapters/lora-inputs.ts';
import { loraSource } from '../src/adapters/lora-source.ts';
import { differentiate } from '../src/autodiff/differentiate.ts';
import type { EmitTarget } from '../src/graph/types.ts';
import { frozenWeights } from '../src/models/frozen-weights.ts';
import { fullSource } from '../src/models/full-source.ts';
import type { ModelConfig } from '../src/models/model.ts';
import type { BatchShape, ParameterSource } from '../src/models/llama.ts';
import { encodeBatch } from '../src/objectives/causal-lm.ts';
import { createGraph } from '../src/ops/table.ts';
import { SessionThread } from '../src/session/session-thread.ts';
import { buildLoss } from '../src/training-step.ts';
import { batchFeeds } from '../src/training-loop.ts';
import { serialise } from '../src/graph/serialise.ts';
import { golden, tinyAdapter, tinyConfig, tinyExamples, tinyLayout, tinyModel, tinyWeights } from './tiny-model.ts';

const shape = { batchSize: 2, sequenceLength: 12 };
const slidingWindow = { size: 4, layers: [1] };
const batch = encodeBatch(tinyExamples, { ...shape, vocabSize: golden.config.vocabSize, reduction: 'mean' });

type How = Pick<BatchShape, 'checkpointing' | 'queryBlock'> & { readonly config?: Partial<ModelConfig> };

/** The loss and, by name, the gradients of all that the source trains. */
async function gradientsOf(
  tied: boolean,
  source: ParameterSource,
  state: ReadonlyMap<string, Float32Array>,
  target: EmitTarget,
  weightsFolder?: string,
  { config, ...how }: How = {},
): Promise<ReadonlyMap<string, Float32Array>> {
  const graph = createGraph();
  const { loss, trained } = buildLoss(graph, { ...tinyConfig(tied), ...config }, { ...shape, ...how }, source);
  const names = [...trained.keys()];
  differentiate(graph, loss, [...trained.values()]).forEach((g, i) => graph.output(`gradient of ${names[i]}`, g));
  await using thread = new SessionThread({ provider: { name: 'cpu', target }, threads: 1, weightsFolder });
  await thread.open('gradients', serialise(graph, target));
  const tensors = [...trained].map(([name, value]) => ({
    name,
    shape: value.shape,
    data: state.get(name) ?? new Float32Array(),
  }));
  return await thread.run('gradients', [...batchFeeds(batch), ...tensors]);
}

const relativeError = (is: ArrayLike<number> | undefined, expected: readonly number[]): number => {
  const norm = Math.hypot(...expected);
  return Math.hypot(...expected.map((value, i) => value - (is?.[i] ?? Number.NaN))) / norm;
};

describe.each(['cpu', 'portable'] as const)('the whole model on %s kernels', (target) => {
  it.each([true, false])(
    'gives the loss and the gradient of every weight that transformers gives (tied head: %s)',
    async (tied) => {
      const expected = golden.full[tied ? 'tied' : 'untied'];
      const results = await gradientsOf(tied, fullSource(tinyConfig(tied)), tinyWeights(tied), target);
      expect(results.get('loss')?.[0]).toBeCloseTo(expected.loss, 5);
      for (const [name, gradient] of Object.entries(expected.gradients)) {
        expect([name, relativeError(results.get(`gradient of ${name}`), gradient) < 2e-5]).toEqual([name, true]);
      }
    },
  );

  it.each([
    ['the same bits when the backward pass computes the layers again', { checkpointing: true }],
    ['the same numbers when few queries attend at once', { queryBlock: 5 }],
    ['the same numbers with both', { checkpointing: true, queryBlock: 5 }],
    ['the same numbers with few queries and a window', { queryBlock: 3, config: { slidingWindow } }],
  ] satisfies [string, How][])('gives %s', async (_what, how: How) => {
    const gradients = (changed: How): Promise<ReadonlyMap<string, Float32Array>> =>
      gradientsOf(true, fullSource(tinyConfig(true)), tinyWeights(true), target, undefined, changed);
    const [expected, results] = [await gradients({ config: how.config ?? {} }), await gradients(how)];
    expect([...results.keys()]).toEqual([...expected.keys()]);
    for (const [name, values] of expected) {
      if ('queryBlock' in how)
        expect([name, relativeError(results.get(name), [...values]) < 1e-5]).toEqual([name, true]);
      else expect([name, results.get(name)]).toEqual([name, values]);
    }
  });

  it('gives the loss and the gradient of every LoRA factor that PEFT gives', async () => {
    using model = tinyModel(false);
    const layout = tinyLayout();
    const weights = frozenWeights(model.tensors);
    const state = new Map([[trainedInput, tinyAdapter(layout)]]);
    const results = await gradientsOf(false, loraSource(weights, layout, 'both'), state, target, weights.folder);
    expect(results.get('loss')?.[0]).toBeCloseTo(golden.lora.untied.loss, 5);
    const flat = results.get(`gradient of ${trainedInput}`) ?? new Float32Array();
    for (const { name, shape: dims, offset } of layout.tensors) {
      const gradient = golden.lora.untied.gradients[name] ?? [];
      const error = relativeError(flat.subarray(offset, offset + dims[0] * dims[1]), gradient);
      expect([name, error < 2e-5]).toEqual([name, true]);
    }
  });

  it('has the central differences of its loss as gradient, along any direction', async () => {
    using model = tinyModel(false);
    const layout = tinyLayout();
    const weights = frozenWeights(model.tensors);
    const adapter = tinyAdapter(layout);
    const at = (values: Float32Array): Promise<ReadonlyMap<string, Float32Array>> =>
      gradientsOf(
        false,
        loraSource(weights, layout, 'both'),
        new Map([[trainedInput, values]]),
        target,
        weights.folder,
      );
    const gradient = (await at(adapter)).get(`gradient of ${trainedInput}`) ?? new Float32Array();
    const step = 2 ** -8;
    for (const frequency of [0.7, 1.9]) {
      // Half of it with the gradient, half of it any other way, so that the slope is well above rounding.
      const direction = gradient.map(
        (g, i) => g / Math.hypot(...gradient) + Math.sin(frequency * i) / Math.sqrt(layout.size),
      );
      const lossAt = async (side: number): Promise<number> =>
        (await at(adapter.map((value, i) => value + side * step * (direction[i] ?? 0)))).get('loss')?.[0] ?? Number.NaN;
      const slope = ((await lossAt(1)) - (await lossAt(-1))) / (2 * step);
      const predicted = gradient.reduce((sum, g, i) => sum + g * (direction[i] ?? 0), 0);
      expect(slope / predicted).toBeCloseTo(1, 2);
    }
  });
});

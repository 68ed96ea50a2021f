import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { findVulkan, skips } from '../../test/conformance/python.ts';
import { trainedInput } from '../src/adapters/lora-inputs.ts';
import { loraSource } from '../src/adapters/lora-source.ts';
import { serialise } from '../src/graph/serialise.ts';
import { frozenWeights } from '../src/models/frozen-weights.ts';
import { encodeBatch } from '../src/objectives/causal-lm.ts';
import { adamwScalars, firstMoment, secondMoment } from '../src/optim/adamw.ts';
import { providerFor } from '../src/session/device.ts';
import type { WireTensor } from '../src/session/messages.ts';
import { SessionThread } from '../src/session/session-thread.ts';
import { lossScaleState } from '../src/optim/loss-scale.ts';
import { batchFeeds, trainedState } from '../src/training-loop.ts';
import { buildTrainingGraph, buildTrainingStep } from '../src/training-step.ts';
import { golden, tinyAdapter, tinyConfig, tinyExamples, tinyLayout, tinyModel } from './tiny-model.ts';

const shape = { batchSize: 2, sequenceLength: 12 };

/** Every value of a whole training step, by its name in the graph. */
async function runEveryNode(
  model: Uint8Array,
  weightsFolder: string,
  feeds: Readonly<Record<string, Tensor>>,
  provider: 'cpu' | 'webgpu',
): Promise<Readonly<Record<string, Tensor>>> {
  const session = await InferenceSession.create(model, {
    executionProviders: [provider],
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 3,
    extra: {
      session: {
        model_external_initializers_file_folder_path: weightsFolder,
        ...(provider === 'webgpu' ? { disable_cpu_ep_fallback: '1' } : {}),
      },
    },
  });
  const results = await session.run(feeds);
  await session.release();
  return results;
}

describe.skipIf(skips('webgpu', { 'a Vulkan driver': findVulkan() }))('a training step on WebGPU', () => {
  // The CPU multiplies halves by way of float32 and rounds once, a GPU may add them up in halves.
  it.each([
    ['fp32', 1e-4],
    ['fp16', 2 ** -6],
  ] as const)(
    'in %s has every value that it has on the CPU to within %f, without help of the CPU',
    async (precision, tolerance) => {
      using model = tinyModel(false);
      const layout = tinyLayout();
      const weights = frozenWeights(model.tensors);
      const source = loraSource(weights, layout, 'both');
      const graph = buildTrainingGraph(
        tinyConfig(false),
        shape,
        source,
        { clipGradNorm: 1, weightDecay: 0.1 },
        precision,
      );
      const values = graph.nodes.flatMap(({ outputs }) => outputs);
      for (const value of values) graph.output(`value ${value.name}`, value);

      const batch = encodeBatch(tinyExamples, { ...shape, vocabSize: golden.config.vocabSize, reduction: 'mean' });
      // Moments as in mid-training: from zero, AdamW's first step is g/|g|, which magnifies the rounding of a small g.
      const moments = new Map([
        [firstMoment(trainedInput), tinyAdapter(layout).map((value) => value / 100)],
        [secondMoment(trainedInput), new Float32Array(layout.size).fill(1e-4)],
      ]);
      const state = trainedState([[trainedInput, tinyAdapter(layout), [layout.size]]]).map((tensor) => ({
        ...tensor,
        data: moments.get(tensor.name) ?? tensor.data,
      }));
      const feeds: Record<string, Tensor> = Object.fromEntries(
        Object.entries(adamwScalars(5, 1e-2, 0.1)).map(([name, value]) => [name, new Tensor('float32', [value], [])]),
      );
      for (const { name, data, shape: dims } of [
        ...batchFeeds(batch),
        ...state,
        ...lossScaleState({ scale: 2 ** 10, goodSteps: 3 }),
      ].filter(({ name: input }) => graph.inputs.some(({ name: known }) => known === input))) {
        feeds[name] =
          data instanceof Float32Array
            ? new Tensor('float32', data, dims)
            : new Tensor('int32', Int32Array.from(data, Number), dims);
      }
      const bytes = serialise(graph, 'portable');
      const onCpu = await runEveryNode(bytes, weights.folder, feeds, 'cpu');
      const onWebgpu = await runEveryNode(bytes, weights.folder, feeds, 'webgpu');

      expect(values.length).toBeGreaterThan(300);
      const wrong = Object.entries(onCpu).flatMap(([name, { data }]) => {
        const expected = Array.from(data as Float32Array | Int32Array, Number);
        const is = Array.from(onWebgpu[name]?.data as Float32Array | Int32Array, Number);
        const largest = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
        const error = expected.reduce((max, value, i) => Math.max(max, Math.abs(value - (is[i] ?? Number.NaN))), 0);
        return error <= tolerance * largest ? [] : [`${name}: off by ${error}, the largest value is ${largest}`];
      });
      expect(wrong).toEqual([]);
    },
    300_000,
  );

  it('gives the same bits with its state left on the device, and then copies the batch and the results alone', async () => {
    const [copied, kept] = [await stepsWithState(false), await stepsWithState(true)];
    expect(kept.values).toEqual(copied.values);
    expect(kept.bytesPerStep).toBe(kept.bytesOf.feeds + kept.bytesOf.results);
    // what is trained and its moments went there and back
    expect(copied.bytesPerStep).toBe(kept.bytesPerStep + 2 * kept.bytesOf.state);
  }, 300_000);
});

/** Three steps: the state and the losses after them, and what a step copied between host and device. */
async function stepsWithState(keepsState: boolean) {
  using model = tinyModel(false);
  const layout = tinyLayout();
  const weights = frozenWeights(model.tensors);
  const source = loraSource(weights, layout, 'both');
  const provider = providerFor('webgpu');
  const state = trainedState([[trainedInput, tinyAdapter(layout), [layout.size]]]);
  const batch = encodeBatch(tinyExamples, { ...shape, vocabSize: golden.config.vocabSize, reduction: 'mean' });
  const feedsOf = (step: number): WireTensor[] => [
    ...batchFeeds(batch),
    ...Object.entries(adamwScalars(step, 1e-2, 0)).map(([name, value]) => ({
      name,
      shape: [],
      data: Float32Array.of(value),
    })),
  ];
  const bytes = (tensors: readonly Pick<WireTensor, 'data'>[]): number =>
    tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
  const optimizer = { clipGradNorm: 1, weightDecay: 0 };
  await using thread = new SessionThread({ provider, threads: 1, weightsFolder: weights.folder, keepsState });
  await thread.setState(state);
  await thread.open('step', buildTrainingStep(tinyConfig(false), shape, source, optimizer, provider.target));
  const values: Float32Array[] = [];
  let bytesPerStep = 0;
  let results = new Map<string, Float32Array>();
  for (let step = 1; step <= 3; step++) {
    const before = thread.copiedBytes;
    results = new Map(await thread.run('step', feedsOf(step)));
    bytesPerStep = thread.copiedBytes - before;
    values.push(...results.values());
  }
  values.push(...(await thread.readState(state.map(({ name }) => name))).values());
  const fed = feedsOf(1).filter(({ name }) => name !== 'decay'); // which only weight decay reads
  const bytesOf = {
    feeds: bytes(fed),
    results: bytes([...results.values()].map((data) => ({ data }))),
    state: bytes(state),
  };
  return { values, bytesPerStep, bytesOf };
}

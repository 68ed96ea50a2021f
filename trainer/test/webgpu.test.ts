import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { findVulkan, skips } from '../../test/conformance/python.ts';
import { trainedInput } from '../src/adapters/lora-inputs.ts';
import { loraSource } from '../src/adapters/lora-source.ts';
import { serialise } from '../src/graph/serialise.ts';
import { frozenWeights } from '../src/models/frozen-weights.ts';
import { encodeBatch } from '../src/objectives/causal-lm.ts';
import { adamwScalars, firstMoment, secondMoment } from '../src/optim/adamw.ts';
import { lossScaleState } from '../src/optim/loss-scale.ts';
import { batchFeeds, trainedState } from '../src/training-loop.ts';
import { buildTrainingGraph } from '../src/training-step.ts';
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
});

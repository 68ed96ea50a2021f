import { describe, expect, it } from 'vitest';
import { trainedInput } from '../src/adapters/lora-inputs.ts';
import { loraSource } from '../src/adapters/lora-source.ts';
import { differentiate, pullback } from '../src/autodiff/differentiate.ts';
import { type Example, packExamples } from '../src/data/index.ts';
import { serialise } from '../src/graph/serialise.ts';
import type { EmitTarget } from '../src/graph/types.ts';
import { frozenWeights } from '../src/models/frozen-weights.ts';
import type { BatchShape } from '../src/models/llama.ts';
import type { ModelConfig } from '../src/models/model.ts';
import { encodeBatch } from '../src/objectives/causal-lm.ts';
import { rotary } from '../src/ops/calls.ts';
import { createGraph } from '../src/ops/table.ts';
import { SessionThread } from '../src/session/session-thread.ts';
import { batchFeeds } from '../src/training-loop.ts';
import { buildLoss } from '../src/training-step.ts';
import { golden, tinyAdapter, tinyConfig, tinyLayout, tinyModel, wave } from './tiny-model.ts';

const tolerance = 1e-5;
const sequenceLength = 24;

/** Examples of these lengths, of other tokens each, with a prompt that does not count where there is room for one. */
const examples: Example[] = [5, 11, 3, 8, 7, 13, 2, 20].map((length, index) => {
  const inputIds = Int32Array.from(
    { length },
    (_, i) => (7 * i * i + 13 * index + 3 * i + 1) % golden.config.vocabSize,
  );
  return { inputIds, labels: inputIds.map((id, i) => (length > 6 && i < 3 ? -100 : id)) };
});

/** Σ of the losses of all counted tokens, and its gradient by the adapter. */
async function gradientOf(
  rows: readonly Example[],
  config: ModelConfig,
  target: EmitTarget,
  extra: Partial<BatchShape> = {},
): Promise<{ loss: number; gradient: Float32Array }> {
  using model = tinyModel(false);
  const weights = frozenWeights(model.tensors);
  const layout = tinyLayout();
  const batchSize = rows.length;
  const batch = encodeBatch(rows, { batchSize, sequenceLength, vocabSize: config.vocabSize, reduction: 'sum' });
  const graph = createGraph();
  const shape = { ...extra, batchSize, sequenceLength, isPacked: batch.packing !== undefined };
  const { loss, trained } = buildLoss(graph, config, shape, loraSource(weights, layout, 'both'));
  differentiate(graph, loss, [...trained.values()]).forEach((gradient) => graph.output('gradient', gradient));
  await using thread = new SessionThread({
    provider: { name: 'cpu', target },
    threads: 1,
    weightsFolder: weights.folder,
  });
  await thread.open('gradient', serialise(graph, target));
  const adapter = { name: trainedInput, shape: [layout.size], data: tinyAdapter(layout) };
  const results = await thread.run('gradient', [...batchFeeds(batch), adapter]);
  return { loss: results.get('loss')?.[0] ?? Number.NaN, gradient: results.get('gradient') ?? new Float32Array() };
}

const distance = (a: Float32Array, b: Float32Array): number => Math.hypot(...a.map((x, i) => x - (b[i] ?? Number.NaN)));

const configs: Record<string, ModelConfig> = {
  'a model that sees all that came before': tinyConfig(false),
  'a model with a window': { ...tinyConfig(false), slidingWindow: { size: 4, layers: [0] } },
};

describe.each(['cpu', 'portable'] as const)('packed rows on %s kernels', (target) => {
  it.each(Object.entries(configs))(
    'give the loss and the gradients of the examples by themselves: %s',
    async (_, config) => {
      const rows = packExamples(examples, sequenceLength);
      expect(rows.length).toBeLessThan(examples.length / 2);
      const apart = await gradientOf(examples, config, target);
      const packed = await gradientOf(rows, config, target);
      const inBlocks = await gradientOf(rows, config, target, { queryBlock: 7, checkpointing: true });
      expect(Math.abs(packed.loss - apart.loss) / apart.loss).toBeLessThan(tolerance);
      const norm = Math.hypot(...apart.gradient);
      expect(norm).toBeGreaterThan(0);
      expect(distance(packed.gradient, apart.gradient) / norm).toBeLessThan(tolerance);
      expect(distance(inBlocks.gradient, apart.gradient) / norm).toBeLessThan(tolerance);
      // the same rows as one sequence each are something else
      const joined = rows.map(({ inputIds, labels }) => ({ inputIds, labels }));
      const asOne = await gradientOf(joined, config, target);
      expect(distance(asOne.gradient, apart.gradient) / norm).toBeGreaterThan(1e-3);
    },
  );

  it('turn by the positions that are given, forwards and backwards', async () => {
    const attributes = { base: 100, scale: 0.5 };
    const graph = createGraph();
    const x = graph.input('x', 'float32', [2, 3, 5, 8]);
    const positions = graph.input('positions', 'int32', [2, 5]);
    const turned = rotary(x, attributes, positions);
    graph.output('turned', turned);
    graph.output('plain', rotary(x, attributes));
    const ones = graph.constant(new Float32Array(2 * 3 * 5 * 8).fill(1), x.shape);
    const [gradient] = pullback(graph, new Map([[turned, ones]]), [x]);
    if (gradient) graph.output('gradient', gradient);
    await using thread = new SessionThread({ provider: { name: 'cpu', target }, threads: 1 });
    await thread.open('turn', serialise(graph, target));
    const values = wave(2 * 3 * 5 * 8, 1, 1);
    const places = [0, 1, 2, 0, 1, 4, 3, 2, 1, 0];
    const results = await thread.run('turn', [
      { name: 'x', shape: [2, 3, 5, 8], data: values },
      { name: 'positions', shape: [2, 5], data: Int32Array.from(places) },
    ]);
    const { turned: is, backwards } = turnedByHand(values, places);
    expect(distance(results.get('turned') ?? new Float32Array(), is)).toBeLessThan(tolerance);
    expect(distance(results.get('gradient') ?? new Float32Array(), backwards)).toBeLessThan(tolerance);
    // the first row's first three positions are those of a row that counts from 0
    expect(results.get('turned')?.subarray(0, 24)).toEqual(results.get('plain')?.subarray(0, 24));
  });
});

/** Equation 34 of Su et al. 2021 on [2, 3, 5, 8], base 100, times 0.5; and its transpose on ones. */
function turnedByHand(x: Float32Array, places: readonly number[]): { turned: Float32Array; backwards: Float32Array } {
  const [turned, backwards] = [new Float32Array(x.length), new Float32Array(x.length)];
  for (let at = 0; at < x.length; at++) {
    const [pair, isHigh] = [at % 4, at % 8 >= 4];
    const place = places[Math.floor(at / (8 * 5 * 3)) * 5 + (Math.floor(at / 8) % 5)] ?? 0;
    const [cos, sin] = [Math.cos(place * 100 ** (-pair / 4)), Math.sin(place * 100 ** (-pair / 4))];
    const other = x[isHigh ? at - 4 : at + 4] ?? 0;
    turned[at] = 0.5 * ((x[at] ?? 0) * cos + (isHigh ? other : -other) * sin);
    backwards[at] = 0.5 * (cos + (isHigh ? -sin : sin));
  }
  return { turned, backwards };
}

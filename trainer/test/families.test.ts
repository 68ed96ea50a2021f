import { readFileSync } from 'node:fs';
import { createAdapterLayout, loraTargets } from '@weft/shared';
import { describe, expect, it } from 'vitest';
import { trainedInput } from '../src/adapters/lora-inputs.ts';
import { loraSource } from '../src/adapters/lora-source.ts';
import { differentiate } from '../src/autodiff/differentiate.ts';
import { elementCount } from '../src/graph/shape.ts';
import { serialise } from '../src/graph/serialise.ts';
import type { EmitTarget } from '../src/graph/types.ts';
import { frozenWeights } from '../src/models/frozen-weights.ts';
import { fullSource } from '../src/models/full-source.ts';
import { buildLlama, headWeight, type ParameterSource, vocabularyHead } from '../src/models/llama.ts';
import type { ModelConfig } from '../src/models/model.ts';
import { weightShapes } from '../src/models/weight-shapes.ts';
import { batchInputs, causalLmLoss, encodeBatch } from '../src/objectives/causal-lm.ts';
import { gemm } from '../src/ops/calls.ts';
import { createGraph } from '../src/ops/table.ts';
import { SessionThread } from '../src/session/session-thread.ts';
import { batchFeeds } from '../src/training-loop.ts';
import { parseConfigJson } from '../src/weights/config-json.ts';
import { modelOnDisk, wave } from './tiny-model.ts';

interface Results {
  readonly loss: number;
  readonly logits: readonly (readonly number[])[];
  readonly gradients: Readonly<Record<string, readonly number[]>>;
}

/** What transformers and PEFT say about a tiny model of each family in float64 (golden/make-families.py). */
const golden = JSON.parse(readFileSync(new URL('golden/families.json', import.meta.url), 'utf8')) as {
  rank: number;
  alpha: number;
  row: number[];
  cases: Record<string, { configJson: string; shapes: Record<string, number[]>; full: Results; lora: Results }>;
};
const ids = Int32Array.from(golden.row);
const shape = { batchSize: 1, sequenceLength: ids.length };

/** The same numbers as in golden/make-families.py. */
const weightsOf = (shapes: Readonly<Record<string, readonly number[]>>): Map<string, Float32Array> =>
  new Map(
    Object.entries(shapes).map(([name, dims], index) => {
      const vector = dims.length === 1;
      return [name, wave(elementCount(dims), index, vector ? 0.1 : 0.4, vector ? 1 : 0)];
    }),
  );

/** The loss, the logits and, by name, the gradients of all that the source trains. */
async function resultsOf(
  config: ModelConfig,
  source: ParameterSource,
  state: ReadonlyMap<string, Float32Array>,
  target: EmitTarget,
  weightsFolder?: string,
): Promise<ReadonlyMap<string, Float32Array>> {
  const graph = createGraph();
  const { inputIds, targets, rowWeights } = batchInputs(graph, ids.length);
  const parameters = source.parametersIn(graph);
  const hidden = buildLlama(graph, config, shape, inputIds, parameters);
  const loss = causalLmLoss(hidden, vocabularyHead(config, parameters), targets, rowWeights);
  graph.output('loss', loss);
  const { trained } = parameters;
  const names = [...trained.keys()];
  differentiate(graph, loss, [...trained.values()]).forEach((g, i) => graph.output(`gradient of ${names[i]}`, g));
  graph.output('logits', gemm(hidden, headWeight(config, parameters), { transB: true }));
  await using thread = new SessionThread({ provider: { name: 'cpu', target }, threads: 1, weightsFolder });
  await thread.open('results', serialise(graph, target));
  const batch = encodeBatch([{ inputIds: ids, labels: ids }], {
    ...shape,
    vocabSize: config.vocabSize,
    reduction: 'mean',
  });
  const tensors = [...trained].map(([name, value]) => ({
    name,
    shape: value.shape,
    data: state.get(name) ?? new Float32Array(),
  }));
  return await thread.run('results', [...batchFeeds(batch), ...tensors]);
}

const relativeError = (is: ArrayLike<number> | undefined, expected: readonly number[]): number =>
  Math.hypot(...expected.map((value, i) => value - (is?.[i] ?? Number.NaN))) / Math.hypot(...expected);

const largestError = (is: ArrayLike<number> | undefined, expected: readonly number[]): number =>
  Math.max(...expected.map((value, i) => Math.abs(value - (is?.[i] ?? Number.NaN))));

describe.each(Object.entries(golden.cases))('%s', (_, expected) => {
  const { config } = parseConfigJson(expected.configJson);

  it('has the weights that transformers writes', () => {
    expect(Object.fromEntries(weightShapes(config))).toEqual(expected.shapes);
  });

  describe.each(['cpu', 'portable'] as const)('on %s kernels', (target) => {
    it('gives the logits, the loss and the gradients of norms and biases that transformers gives', async () => {
      const results = await resultsOf(config, fullSource(config), weightsOf(expected.shapes), target);
      expect(results.get('loss')?.[0]).toBeCloseTo(expected.full.loss, 5);
      expect(largestError(results.get('logits'), expected.full.logits.flat())).toBeLessThan(1e-4);
      for (const [name, gradient] of Object.entries(expected.full.gradients)) {
        const error = relativeError(results.get(`gradient of ${name}`), gradient);
        expect([name, error < 1e-4, error]).toEqual([name, true, error]);
      }
    });

    it('gives the logits, the loss and the gradient of every LoRA factor that PEFT gives', async () => {
      using model = modelOnDisk(config, weightsOf(expected.shapes), 'F32');
      const layout = createAdapterLayout(config, { rank: golden.rank, alpha: golden.alpha, targets: loraTargets });
      const order = Object.keys(expected.lora.gradients);
      const adapter = new Float32Array(layout.size);
      for (const { name, shape: dims, offset } of layout.tensors)
        adapter.set(wave(elementCount(dims), 100 + order.indexOf(name), 0.3), offset);
      const weights = frozenWeights(model.tensors);
      const state = new Map([[trainedInput, adapter]]);
      const results = await resultsOf(config, loraSource(weights, layout, 'both'), state, target, weights.folder);
      expect(results.get('loss')?.[0]).toBeCloseTo(expected.lora.loss, 5);
      expect(largestError(results.get('logits'), expected.lora.logits.flat())).toBeLessThan(1e-4);
      const flat = results.get(`gradient of ${trainedInput}`);
      expect(layout.tensors.map(({ name }) => name).toSorted()).toEqual(order.toSorted());
      for (const { name, shape: dims, offset } of layout.tensors) {
        const gradient = flat?.subarray(offset, offset + elementCount(dims));
        const error = relativeError(gradient, expected.lora.gradients[name] ?? []);
        expect([name, error < 1e-4, error]).toEqual([name, true, error]);
      }
    });
  });
});

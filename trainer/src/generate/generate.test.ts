import { elementCount } from '../graph/shape.ts';
import { families, type FamilyName } from '../models/families.ts';
import type { ModelConfig } from '../models/model.ts';
import { weightShapes } from '../models/weight-shapes.ts';
import { mergeAdapter } from '../../test/merge-adapter.ts';
import {
  modelOnDisk,
  tinyAdapter,
  tinyConfig,
  tinyLayout,
  tinyModel,
  tinyWeights,
  wave,
} from '../../test/tiny-model.ts';
import { describe, expect, it } from 'vitest';
import { loraSource } from '../adapters/lora-source.ts';
import { serialise } from '../graph/serialise.ts';
import type { EmitTarget } from '../graph/types.ts';
import { frozenWeights } from '../models/frozen-weights.ts';
import { buildLlama, headWeight, widen } from '../models/llama.ts';
import { gemm } from '../ops/calls.ts';
import { createGraph } from '../ops/table.ts';
import { SessionThread } from '../session/session-thread.ts';
import { buildDecoding, decodingFeeds, emptyCache } from './decoding-graph.ts';
import { Decoder } from './decoder.ts';
import { continuePrompt, type GenerateOptions, generate } from './generate.ts';

const vocab = tinyConfig(true).vocabSize;
const sequence = Array.from({ length: 100 }, (_, position) => (position * 7 + ((position * position) % 5)) % vocab);
const deviation = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  a.length === b.length ? Math.max(...Array.from(a, (value, i) => Math.abs(value - (b[i] ?? Number.NaN)))) : Number.NaN;

async function idsOf(tokens: AsyncIterable<number>): Promise<number[]> {
  const ids: number[] = [];
  for await (const id of tokens) ids.push(id);
  return ids;
}

async function collect(options: GenerateOptions): Promise<number[]> {
  return idsOf(generate(options));
}

/** The logits of every position by the graph that training runs: [rows·vocab]. */
async function forward(
  model: Pick<GenerateOptions['model'], 'config' | 'tensors'>,
  ids: readonly number[],
  target: EmitTarget,
): Promise<Float32Array> {
  const weights = frozenWeights(model.tensors);
  const graph = createGraph();
  const parameters = loraSource(weights, undefined, 'both').parametersIn(graph);
  const inputIds = graph.input('inputIds', 'int32', [ids.length]);
  const shape = { batchSize: 1, sequenceLength: ids.length };
  const hidden = buildLlama(graph, model.config, shape, inputIds, parameters);
  graph.output('logits', gemm(hidden, widen(headWeight(model.config, parameters)), { transB: true }));
  await using thread = new SessionThread({
    provider: { name: 'cpu', target },
    threads: 1,
    weightsFolder: weights.folder,
  });
  await thread.open('forward', serialise(graph, target));
  const data = Int32Array.from(ids);
  return (
    (await thread.run('forward', [{ name: 'inputIds', shape: [ids.length], data }])).get('logits') ?? new Float32Array()
  );
}

describe('a decoder', () => {
  it('gives the logits of the graph that trains, at every position and in whatever parts it reads', async () => {
    using model = tinyModel(false);
    const config = { ...model.config, maxPositions: 128 };
    const expected = await forward(model, sequence, 'cpu');
    const at = (length: number): Float32Array => expected.subarray((length - 1) * vocab, length * vocab);
    await using decoder = await Decoder.open({ model: { ...model, config }, threads: 1 });
    // one by one, a jump over more than one chunk, back to a shorter sequence, another branch and back
    for (const length of [1, 2, 3, 4, 90, 91, 100, 70, 71, 5]) {
      expect([length, deviation(await decoder.logits(sequence.slice(0, length)), at(length)) < 1e-4]).toEqual([
        length,
        true,
      ]);
    }
    await decoder.logits([...sequence.slice(0, 3), 1, 2, 3, 4, 5]);
    expect(deviation(await decoder.logits(sequence.slice(0, 20)), at(20))).toBeLessThan(1e-4);
  });

  // Heads of 6 are none that the fused kernel takes: the decomposed graph decodes those.
  it.each([
    ...(['llama', 'gemma3_text'] as const).map((family) => ({ family, headDim: 6 })),
    ...(Object.keys(families) as FamilyName[]).map((family) => ({ family, headDim: 16 })),
  ])('gives them for $family with heads of $headDim, windows and layers that do not rotate', async (given) => {
    const config: ModelConfig = {
      ...tinyConfig(true),
      ...given,
      maxPositions: 128,
      ropeScaling: { type: 'linear', factor: 2 },
      slidingWindow: { size: 5, layers: [1] },
      noRopeLayers: [0],
    };
    const weights = [...weightShapes(config)].map(([name, shape], index) => {
      const isNorm = shape.length === 1;
      return [name, wave(elementCount(shape), index, isNorm ? 0.1 : 0.4, isNorm ? 1 : 0)] as const;
    });
    using model = modelOnDisk(config, new Map(weights), 'F32');
    const expected = await forward(model, sequence, 'cpu');
    await using decoder = await Decoder.open({ model, threads: 1 });
    for (const length of [3, 4, 5, 6, 90, 91, 100, 50, 2]) {
      const logits = await decoder.logits(sequence.slice(0, length));
      const right = expected.subarray((length - 1) * vocab, length * vocab);
      expect([length, deviation(logits, right)]).toEqual([length, expect.toSatisfy((off: number) => off < 1e-4)]);
    }
  });

  it('gives them with kernels that every execution provider has', async () => {
    using model = tinyModel(true);
    const weights = frozenWeights(model.tensors);
    const shape = { rows: 4, capacity: 16 };
    const expected = await forward(model, sequence.slice(0, 7), 'cpu');
    await using thread = new SessionThread({
      provider: { name: 'cpu', target: 'portable' },
      threads: 1,
      weightsFolder: weights.folder,
    });
    const source = loraSource(weights, undefined, 'both');
    await thread.open('decode', buildDecoding(model.config, shape, source, 'portable'));
    await thread.setState(emptyCache(model.config, shape.capacity));
    await thread.run('decode', decodingFeeds(model.config, sequence.slice(0, 4), 0, shape));
    const results = await thread.run('decode', decodingFeeds(model.config, sequence.slice(4, 7), 4, shape), {
      appendAt: 4,
    });
    expect(deviation(results.get('logits') ?? [], expected.subarray(6 * vocab))).toBeLessThan(1e-4);
  });

  it('gives with an adapter what the merged weights give', async () => {
    using model = tinyModel(false);
    const layout = tinyLayout();
    const adapter = tinyAdapter(layout);
    using merged = modelOnDisk(tinyConfig(false), mergeAdapter(tinyWeights(false), layout, adapter), 'F32');
    await using adapted = await Decoder.open({ model, layout, adapter, threads: 1 });
    await using plain = await Decoder.open({ model: merged, threads: 1 });
    await using base = await Decoder.open({ model, threads: 1 });
    const ids = sequence.slice(0, 9);
    const logits = await adapted.logits(ids);
    expect(deviation(logits, await plain.logits(ids))).toBeLessThan(1e-4);
    expect(deviation(logits, await base.logits(ids))).toBeGreaterThan(1e-2);
  });

  it('refuses a sequence that is empty, too long or not of this vocabulary', async () => {
    using model = tinyModel(true);
    await using decoder = await Decoder.open({ model, threads: 1 });
    const tooLong = Array.from({ length: model.config.maxPositions + 1 }, () => 0);
    for (const ids of [[], [vocab], [-1], [0.5], tooLong]) {
      await expect(decoder.logits(ids)).rejects.toMatchObject({ code: 'WEFT_TRAINING_BAD_OPTION' });
    }
  });
});

describe('generating', () => {
  it('takes the likeliest token, with the cache as without', async () => {
    using model = tinyModel(true);
    const promptIds = sequence.slice(0, 3);
    const ids = [...promptIds];
    while (ids.length < 9) {
      const last = (await forward(model, ids, 'cpu')).slice(-vocab);
      ids.push(last.indexOf(Math.max(...last)));
    }
    expect(await collect({ model, promptIds, maxTokens: 6, threads: 1 })).toEqual(ids.slice(3));
  });

  it('draws the same tokens from the same seed and others from another', async () => {
    using model = tinyModel(true);
    const options = { model, promptIds: [1, 2], maxTokens: 8, temperature: 5, threads: 1 };
    const first = await collect({ ...options, seed: 1 });
    expect(await collect({ ...options, seed: 1 })).toEqual(first);
    expect(await collect({ ...options, seed: 2 })).not.toEqual(first);
  });

  it('ends before a token that ends the text, after so many tokens, or at the last position', async () => {
    using model = tinyModel(true);
    await using decoder = await Decoder.open({ model, threads: 1 });
    const ids = await idsOf(continuePrompt(decoder, { promptIds: [3], maxTokens: 4 }));
    expect(ids).toHaveLength(4);
    const end = ids[0] ?? 0;
    expect(await continuePrompt(decoder, { promptIds: [3], endIds: [end] }).next()).toEqual({
      done: true,
      value: 'end',
    });
    const nearlyFull = Array.from({ length: model.config.maxPositions - 2 }, () => 3);
    expect(await idsOf(continuePrompt(decoder, { promptIds: nearlyFull }))).toHaveLength(2);
  });

  it('stops when it is told to', async () => {
    using model = tinyModel(true);
    const controller = new AbortController();
    const tokens = generate({ model, promptIds: [1], signal: controller.signal, threads: 1 });
    await tokens.next();
    controller.abort();
    await expect(tokens.next()).rejects.toThrow('aborted');
  });

  it.each([
    { promptIds: [] },
    { maxTokens: 0 },
    { temperature: -1 },
    { temperature: Number.NaN },
    { topP: 0 },
    { topP: 1.1 },
  ])('refuses %o', async (wrong) => {
    using model = tinyModel(true);
    await expect(collect({ model, promptIds: [1], ...wrong })).rejects.toMatchObject({
      code: 'WEFT_TRAINING_BAD_OPTION',
    });
  });
});

import { mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAdapterLayout, loraTargets } from '@weft/shared';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluate } from '../src/evaluate.ts';
import { differentiate, pullback } from '../src/autodiff/differentiate.ts';
import type { Graph } from '../src/graph/graph.ts';
import { serialise } from '../src/graph/serialise.ts';
import type { Value } from '../src/graph/types.ts';
import { levelRanges } from '../src/models/level-ranges.ts';
import type { Model } from '../src/models/model.ts';
import { weightShapes } from '../src/models/weight-shapes.ts';
import { openModel } from '../src/open-model.ts';
import { crossEntropy, gatherRows, gemm, type QuantisedMatrix, quantisedProduct } from '../src/ops/calls.ts';
import { createGraph } from '../src/ops/table.ts';
import type { WireTensor } from '../src/session/messages.ts';
import { SessionThread } from '../src/session/session-thread.ts';
import { train } from '../src/training-run.ts';
import { holdBase } from '../src/weights/quantised/hold-base.ts';
import { type ColumnLevels, quantiseInt8 } from '../src/weights/quantised/int8.ts';
import type { RowPieces } from '../src/weights/quantised/row-pieces.ts';
import { folderConfig, writeModelFolder } from './model-folder.ts';
import { wave } from './tiny-model.ts';

const config = { ...folderConfig, hiddenSize: 64, intermediateSize: 96, headDim: 32 };
const folder = mkdtempSync(join(tmpdir(), 'weft-quantised-'));
const cacheDir = join(folder, 'cache');
const layout = createAdapterLayout(config, { rank: 4, alpha: 8, targets: loraTargets });
// Factors that are not zero, so that something flows through every product; the first channels dwarf the others.
const adapter = Float32Array.from({ length: layout.size }, (_, i) => 0.05 * Math.sin(1.3 * i + 0.2));
const examples = [0, 1].map((row) => {
  const inputIds = Int32Array.from({ length: 24 }, (_, i) => (i * i + 7 * row + 3 * i) % 250);
  return { inputIds, labels: inputIds };
});

let model: Model;
const tensors = (damage: (name: string, values: Float32Array) => void = () => {}) =>
  [...weightShapes(config)].map(([name, shape], index) => {
    const isNorm = shape.length === 1;
    const data = wave(
      shape.reduce((a, b) => a * b, 1),
      index,
      isNorm ? 0.1 : 0.1,
      isNorm ? 1 : 0,
    );
    if (isNorm) data.fill(12, 0, 2);
    damage(name, data);
    return { name, dtype: 'F32' as const, shape, data };
  });
const write = (name: string, change: Parameters<typeof writeModelFolder>[1]) =>
  writeModelFolder(join(folder, name), {
    ...change,
    config: { hidden_size: 64, intermediate_size: 96, ...change?.config },
  });

beforeAll(async () => {
  model = await openModel(await write('model', { tensors: tensors() }), { cacheDir });
});
afterAll(() => rmSync(folder, { recursive: true }));

const positive = (values: Float32Array, wanted: boolean): Float32Array => (wanted ? values.map(Math.abs) : values);

const whole = (values: Float32Array): RowPieces =>
  async function* read() {
    yield { firstRow: 0, values };
  };

interface Building {
  readonly graph: Graph;
  readonly constant: Graph['constant'];
  /** An input that is fed these values. */
  readonly input: (name: string, shape: readonly number[], data: Float32Array) => Value;
}

/** Runs a graph on the CPU; its results by name. */
async function run(
  build: (building: Building) => Readonly<Record<string, Value>>,
): Promise<(name: string) => Float32Array> {
  const graph = createGraph();
  const feeds: WireTensor[] = [];
  const outputs = build({
    graph,
    constant: (data, shape) => graph.constant(data, shape),
    input(name, shape, data) {
      feeds.push({ name, shape, data });
      return graph.input(name, 'float32', shape);
    },
  });
  for (const [name, value] of Object.entries(outputs)) graph.output(name, value);
  await using thread = new SessionThread({ provider: { name: 'cpu', target: 'cpu' }, threads: 1 });
  await thread.open('graph', serialise(graph, 'cpu'));
  const results = await thread.run('graph', feeds);
  return (name) => results.get(name) ?? new Float32Array();
}

/** The gradient of the adapter at the first step, a tenth of which is the first moment after it. */
async function firstStep(held: Model): Promise<{ loss: number; gradient: Float32Array }> {
  const run = train({ model: held, layout, adapter, examples, steps: 1, clipGradNorm: 0, threads: 1, device: 'cpu' });
  for await (const { loss, snapshot } of run) return { loss, gradient: (await snapshot()).firstMoment };
  throw new Error('no step');
}

const distance = (is: Float32Array, expected: Float32Array): number =>
  Math.hypot(...expected.map((value, i) => value - (is[i] ?? Number.NaN))) / Math.hypot(...expected);

describe.each([
  { base: 'fp16', loss: 2e-4, gradient: 0.004 },
  { base: 'bf16', loss: 2e-3, gradient: 0.03 },
  { base: 'int8', loss: 5e-3, gradient: 0.08 },
  { base: 'int4', loss: 5e-2, gradient: 0.5 },
] as const)('a base in $base', ({ base, ...tolerance }) => {
  it('gives the loss and the gradients of float32, but for the rounding', async () => {
    const held = await holdBase(model, base, { cacheDir });
    const [full, less] = [await firstStep(model), await firstStep(held)];
    expect(Math.abs(less.loss / full.loss - 1)).toBeLessThan(tolerance.loss);
    expect(distance(less.gradient, full.gradient)).toBeLessThan(tolerance.gradient);
    expect(less.gradient).not.toEqual(full.gradient);
  });

  it('is scored as it is trained', async () => {
    const held = await holdBase(model, base, { cacheDir });
    const { lossSum, tokens } = await evaluate({ model: held, layout, adapter, examples, threads: 1, device: 'cpu' });
    expect(lossSum / tokens).toBeCloseTo((await firstStep(held)).loss, 3);
  });

  it('is made once, and again where its file is damaged', async () => {
    const [name = ''] = readdirSync(cacheDir).filter((entry) => entry.endsWith(`-${base}.safetensors`));
    const phases: string[] = [];
    const onProgress = ({ phase }: { phase: string }): void => void phases.push(phase);
    await holdBase(model, base, { cacheDir, onProgress });
    expect(phases).toEqual([]);
    truncateSync(join(cacheDir, name), 5000);
    await holdBase(model, base, { cacheDir, onProgress });
    expect(phases).toContain('quantise');
    expect(readdirSync(cacheDir).filter((entry) => entry.endsWith('.tmp'))).toEqual([]);
  });

  it('is refused where a weight is no number', async () => {
    const nan = tensors((weight, values) => weight.endsWith('up_proj.weight') && values.fill(Number.NaN, 70, 71));
    const damaged = await openModel(await write(`nan-${base}`, { tensors: nan }), { cacheDir });
    await expect(holdBase(damaged, base, { cacheDir })).rejects.toMatchObject({
      code: 'WEFT_BASE_UNSUPPORTED',
      details: { feature: 'values that are not finite', tensor: 'model.layers.0.mlp.up_proj.weight' },
    });
  });
});

it('a weight that float16 cannot hold is refused with its value', async () => {
  const large = tensors((weight, values) => weight.endsWith('up_proj.weight') && values.fill(-7e4, 70, 71));
  const wide = await openModel(await write('large', { tensors: large }), { cacheDir });
  await expect(holdBase(wide, 'fp16', { cacheDir })).rejects.toMatchObject({
    code: 'WEFT_BASE_UNSUPPORTED',
    message: 'model.layers.0.mlp.up_proj.weight holds -70000, and float16 reaches to 65504',
  });
});

it('rows that are no whole blocks are refused by name', async () => {
  const narrow = await openModel(await writeModelFolder(join(folder, 'narrow')), { cacheDir });
  await expect(holdBase(narrow, 'int4', { cacheDir })).rejects.toMatchObject({
    code: 'WEFT_BASE_UNSUPPORTED',
    message: expect.stringContaining('rows of 8 weights') as string,
  });
});

it('a model that changed since it was opened is not quantised under its old hash', async () => {
  const changed = await openModel(await write('changed', { tensors: tensors() }), { cacheDir: join(folder, 'other') });
  await write('changed', { tensors: tensors((_, values) => values.fill(0.5, 0, 1)) });
  const held = holdBase(changed, 'int8', { cacheDir: join(folder, 'other') });
  await expect(held).rejects.toMatchObject({ code: 'WEFT_MODEL_CORRUPT' });
  expect(readdirSync(join(folder, 'other'))).toEqual([]);
});

it('int8 products are refused on other devices than the CPU', async () => {
  const held = await holdBase(model, 'int8', { cacheDir });
  await expect(evaluate({ model: held, examples, device: 'webgpu' })).rejects.toMatchObject({
    code: 'WEFT_TRAINING_DEVICE',
  });
});

describe.each([
  { range: 127, unsigned: false, outliers: 0, tolerance: 0.01 },
  { range: 63, unsigned: false, outliers: 2, tolerance: 0.02 },
  { range: 255, unsigned: true, outliers: 0, tolerance: 0.01 },
])('levels from $range, unsigned: $unsigned, with $outliers outliers', ({ tolerance, ...rows }) => {
  it('multiply, and are differentiated, as what they stand for', async () => {
    const [n, k, m] = [5, 64, 48];
    const weight = wave(m * k, 3, 0.5);
    const x = positive(wave(n * k, 9, 1), rows.unsigned);
    if (rows.outliers > 0) for (let row = 0; row < n; row++) x[row * k + 7] = 90 + row;
    const { forward, backward } = await quantiseInt8(whole(weight), [m, k], { centred: false });
    const results = await run(({ constant, input, graph }) => {
      const [given, delta] = [
        input('x', [n, k], x),
        input('delta', [n, m], positive(wave(n * m, 4, 2), rows.unsigned)),
      ];
      const matrix = ({ levels, scales }: ColumnLevels, shape: readonly number[]): QuantisedMatrix => ({
        levels: constant(levels, shape),
        scales: constant(scales, shape.slice(1)),
      });
      const attributes = { rows, gradient: { ...rows, outliers: 0 } };
      const quantised = quantisedProduct(given, matrix(forward, [k, m]), attributes, matrix(backward, [m, k]));
      const float = gemm(given, constant(weight, [m, k]), { transB: true });
      const gradientOf = (product: Value): Value => pullback(graph, new Map([[product, delta]]), [given])[0] ?? product;
      return { quantised, float, quantisedGradient: gradientOf(quantised), floatGradient: gradientOf(float) };
    });
    expect(distance(results('quantised'), results('float'))).toBeLessThan(tolerance);
    expect(distance(results('quantisedGradient'), results('floatGradient'))).toBeLessThan(tolerance);
  });
});

it("a loss whose gradient goes straight to the hidden rows has the same gradient, also where W's mean is gone", async () => {
  const [n, width, vocab] = [4, 8, 6];
  const weight = wave(vocab * width, 5, 1, 3);
  const means = Array.from(
    { length: width },
    (_, c) => weight.filter((_, i) => i % width === c).reduce((a, b) => a + b) / vocab,
  );
  const centred = weight.map((value, i) => value - (means[i % width] ?? 0));
  const results = await run(({ constant, input, graph }) => {
    const hidden = input('hidden', [n, width], wave(n * width, 6, 1));
    const targets = constant(BigInt64Array.of(3n, 0n, 5n, 3n), [n]);
    const rowWeights = constant(Float32Array.of(0.25, 0.5, 0, 0.25), [n]);
    const [exact, centredRows] = [constant(weight, [vocab, width]), constant(centred, [vocab, width])];
    const loss = crossEntropy(gemm(hidden, exact, { transB: true }), targets, rowWeights);
    // The same loss: a constant in each row of logits changes nothing.
    const direct = crossEntropy(gemm(hidden, centredRows, { transB: true }), targets, rowWeights, {
      hidden,
      targetRows: gatherRows(centredRows, targets),
    });
    const gradientOf = (of: Value): Value => differentiate(graph, of, [hidden])[0] ?? of;
    return { loss, direct, gradient: gradientOf(loss), directGradient: gradientOf(direct) };
  });
  expect(results('direct')[0]).toBeCloseTo(results('loss')[0] ?? Number.NaN, 4);
  expect(distance(results('directGradient'), results('gradient'))).toBeLessThan(1e-4);
});

it('sums fit int32 however many products are added, and pairs int16 where the processor adds by pairs', () => {
  for (const k of [1, 576, 49_152, 151_936, 262_144]) {
    for (const saturates of [false, true]) {
      const { signed, unsigned } = levelRanges(saturates);
      for (const range of [signed(k), unsigned(k)]) expect(range * 127 * k).toBeLessThan(2 ** 31);
      const largestByte = Math.max(2 * signed(k) + 1, unsigned(k));
      if (saturates) expect(2 * largestByte * 127).toBeLessThan(2 ** 15);
      else expect(largestByte).toBeLessThan(256);
    }
  }
});

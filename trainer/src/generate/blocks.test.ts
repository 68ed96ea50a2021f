import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createAdapterLayout, loraTargets, sha256 } from '@weft/shared';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { valuesOfBlocks } from '../../test/block-values.ts';
import { modelOnDisk, tinyConfig, wave } from '../../test/tiny-model.ts';
import { elementCount } from '../graph/shape.ts';
import { families, type FamilyName } from '../models/families.ts';
import type { ModelConfig } from '../models/model.ts';
import { weightShapes } from '../models/weight-shapes.ts';
import { type Base, openBlocks, originalsOfTensors } from '../weights/blocks/open-blocks.ts';
import { quantiseBlocks } from '../weights/blocks/quantise.ts';
import { Decoder } from './decoder.ts';

const ids = Array.from({ length: 20 }, (_, position) => (position * 7 + ((position * position) % 5)) % 40);
let cacheDir: string;
beforeAll(() => {
  cacheDir = mkdtempSync(path.join(tmpdir(), 'weft-blocks-'));
});
afterAll(() => rmSync(cacheDir, { recursive: true }));

const configOf = (family: FamilyName, headDim = 16): ModelConfig => ({
  ...tinyConfig(family !== 'llama'),
  family,
  headDim,
  hiddenSize: 64,
  intermediateSize: 96,
  heads: 96 / headDim,
  kvHeads: 2,
});

/** Weights whose columns matter alike, so that rounding shows in the logits. */
const weightsOf = (config: ModelConfig): Map<string, Float32Array> =>
  new Map(
    [...weightShapes(config)].map(([name, shape], index) => {
      const isVector = shape.length === 1;
      return [name, wave(elementCount(shape), index, isVector ? 0.1 : 0.2, isVector ? 1 : 0)];
    }),
  );

/** The same weights as the blocks have them. */
const rounded = (weights: ReadonlyMap<string, Float32Array>, base: Base): Map<string, Float32Array> =>
  new Map(
    [...weights].map(([name, values]) => {
      if (!/proj\.weight|embed_tokens|lm_head/.test(name)) return [name, values];
      const bits = base === 'int4' && /proj/.test(name) ? 4 : 8;
      return [name, valuesOfBlocks(quantiseBlocks(values, bits), bits)];
    }),
  );

const distance = (a: Float32Array, b: Float32Array): number => {
  const off = a.reduce((sum, value, i) => sum + (value - (b[i] ?? Number.NaN)) ** 2, 0);
  return Math.sqrt(off / b.reduce((sum, value) => sum + value ** 2, 0));
};

const hash = (text: string) => sha256(new TextEncoder().encode(text));

describe('a decoder of matrices in blocks', () => {
  it.each([
    ...(Object.keys(families) as FamilyName[]).map((family) => ({ family, base: 'int8' as const })),
    { family: 'llama' as const, base: 'int4' as const },
  ])('gives the logits of the rounded weights: $family, $base', async ({ family, base }) => {
    const config = configOf(family);
    const weights = weightsOf(config);
    using original = modelOnDisk(config, weights, 'F32');
    using plain = modelOnDisk(config, rounded(weights, base), 'F32');
    const kept = await openBlocks(originalsOfTensors(original.tensors, hash(family), base), base, config, { cacheDir });
    expect(kept?.blocks.size).toBeGreaterThan(0);
    await using inBlocks = await Decoder.open({ model: { config, tensors: new Map(), ...kept }, threads: 1 });
    await using expected = await Decoder.open({ model: plain, threads: 1 });
    for (const length of [1, 12, 13, 20]) {
      const [a, b] = [await inBlocks.logits(ids.slice(0, length)), await expected.logits(ids.slice(0, length))];
      // rows are rounded to 8 bits before each product
      expect(distance(a, b)).toBeLessThan(0.06);
    }
  });

  it('adds an adapter in float32, on the fused kernel and without it', async () => {
    for (const headDim of [16, 12]) {
      const config = configOf('llama', headDim);
      const weights = weightsOf(config);
      using original = modelOnDisk(config, weights, 'F32');
      using plain = modelOnDisk(config, rounded(weights, 'int8'), 'F32');
      const layout = createAdapterLayout(config, { rank: 2, alpha: 4, targets: loraTargets });
      const adapter = wave(layout.size, 9, 0.2);
      const sha = hash(`adapter ${headDim}`);
      const kept = await openBlocks(originalsOfTensors(original.tensors, sha, 'int8'), 'int8', config, { cacheDir });
      const model = { config, tensors: new Map(), ...kept };
      await using inBlocks = await Decoder.open({ model, layout, adapter, threads: 1 });
      await using without = await Decoder.open({ model, threads: 1 });
      await using expected = await Decoder.open({ model: plain, layout, adapter, threads: 1 });
      const logits = await inBlocks.logits(ids);
      expect(distance(logits, await expected.logits(ids))).toBeLessThan(0.06);
      expect(distance(logits, await without.logits(ids))).toBeGreaterThan(0.1);
    }
  });
});

describe('the file of the cache', () => {
  it('is made once, and again when it is not whole', async () => {
    const config = configOf('llama');
    using model = modelOnDisk(config, weightsOf(config), 'BF16');
    const folder = path.join(cacheDir, 'once');
    const open = () =>
      openBlocks(originalsOfTensors(model.tensors, hash('once'), 'int4'), 'int4', config, { cacheDir: folder });
    const first = await open();
    const [name = '', ...others] = readdirSync(folder);
    expect(others).toEqual([]);
    const file = path.join(folder, name);
    const { mtimeMs, size } = statSync(file);
    expect(await open()).toEqual(first);
    expect(statSync(file).mtimeMs).toBe(mtimeMs);
    truncateSync(file, size - 1);
    expect(await open()).toEqual(first);
    expect(statSync(file).size).toBe(size);
  });

  it('is not made where nothing is to be kept in blocks', async () => {
    const config = configOf('llama');
    using model = modelOnDisk(config, weightsOf(config), 'F32');
    for (const base of ['fp32', 'auto'] as const) {
      const kept = openBlocks(originalsOfTensors(model.tensors, hash('plain'), base), base, config, { cacheDir });
      expect(await kept).toBeUndefined();
    }
  });
});

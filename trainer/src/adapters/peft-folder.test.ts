import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createAdapterLayout, isWeftError, sha256 } from '@weft/shared';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeSafetensors } from '../weights/index.ts';
import { parseAdapterConfig } from './adapter-config.ts';
import { initAdapter } from './init-adapter.ts';
import { loadAdapter, saveAdapter } from './peft-folder.ts';

const config = {
  family: 'llama',
  hiddenSize: 16,
  intermediateSize: 24,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 4,
  vocabSize: 40,
  ropeTheta: 10_000,
  rmsNormEps: 1e-5,
  tieWordEmbeddings: true,
  maxPositions: 64,
} as const;
const model = { name: 'tiny', config, sha256: sha256('tiny') };
const layout = createAdapterLayout(config, { rank: 3, alpha: 6, targets: ['q_proj', 'down_proj'] });

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'weft-adapter-'));
});
afterEach(() => rm(folder, { recursive: true }));

const editConfig = async (change: Record<string, unknown>): Promise<void> => {
  const file = path.join(folder, 'adapter_config.json');
  const content = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  await writeFile(file, JSON.stringify({ ...content, ...change }));
};

describe('an adapter folder', () => {
  it('comes back as it was written', async () => {
    const adapter = initAdapter(layout, 5);
    await saveAdapter(folder, model, { layout, adapter });
    expect(await loadAdapter(folder, model)).toEqual({ layout, adapter, base: 'same' });
    expect((await readdir(folder)).toSorted()).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
  });

  it('is refused for a model of other dimensions, with both shapes', async () => {
    await saveAdapter(folder, model, { layout, adapter: initAdapter(layout, 5) });
    const wider = loadAdapter(folder, { ...model, config: { ...config, hiddenSize: 32 } });
    await expect(wider).rejects.toMatchObject({
      code: 'WEFT_ADAPTER_MISFIT',
      message: expect.stringContaining('[3, 16], this model needs [3, 32]') as string,
    });
    const deeper = loadAdapter(folder, { ...model, config: { ...config, layers: 3 } });
    await expect(deeper).rejects.toMatchObject({ code: 'WEFT_ADAPTER_MISFIT', details: { tensors: 8, expected: 12 } });
  });

  const sibling = { ...model, name: 'sibling', sha256: sha256('sibling') };

  it('is refused for another model of the same dimensions, by the names and hashes of both, unless any will do', async () => {
    const adapter = initAdapter(layout, 5);
    await saveAdapter(folder, model, { layout, adapter });
    await expect(loadAdapter(folder, sibling)).rejects.toMatchObject({
      code: 'WEFT_ADAPTER_OTHER_BASE',
      message: `the adapter was trained on tiny (${model.sha256.slice(0, 12)}…), this model is sibling (${sibling.sha256.slice(0, 12)}…)`,
    });
    expect(await loadAdapter(folder, sibling, { anyBase: true })).toEqual({ layout, adapter, base: 'other' });
  });

  it('that does not say on which model it was trained is taken where its shapes fit', async () => {
    const adapter = initAdapter(layout, 5);
    await saveAdapter(folder, model, { layout, adapter });
    const tensors = layout.tensors.map(({ name, shape, offset }) => ({
      name,
      dtype: 'F32' as const,
      shape,
      data: adapter.subarray(offset, offset + shape[0] * shape[1]),
    }));
    const rewrite = (metadata: Record<string, string>): Promise<void> =>
      writeSafetensors(path.join(folder, 'adapter_model.safetensors'), tensors, { metadata });
    await rewrite({ format: 'pt' });
    expect(await loadAdapter(folder, sibling)).toEqual({ layout, adapter, base: 'unknown' });
    await rewrite({ 'weft.base_sha256': 'of some model' });
    await expect(loadAdapter(folder, sibling)).rejects.toMatchObject({ code: 'WEFT_ADAPTER_CORRUPT' });
  });

  it.each([
    { use_dora: true },
    { use_rslora: true },
    { bias: 'all' },
    { target_modules: ['c_attn'] },
    { modules_to_save: ['lm_head'] },
    { rank_pattern: { q_proj: 4 } },
    { r: 0 },
    { r: 1e9 },
  ])('is refused when it is no plain LoRA: %o', async (change) => {
    await saveAdapter(folder, model, { layout, adapter: initAdapter(layout, 5) });
    await editConfig(change);
    await expect(loadAdapter(folder, model)).rejects.toMatchObject({ code: 'WEFT_ADAPTER_UNSUPPORTED' });
  });

  it('is refused when a value is not finite', async () => {
    const adapter = initAdapter(layout, 5);
    adapter[7] = Number.NaN;
    await saveAdapter(folder, model, { layout, adapter });
    await expect(loadAdapter(folder, model)).rejects.toMatchObject({ code: 'WEFT_ADAPTER_CORRUPT' });
  });

  it('is refused when a file is missing or cut short', async () => {
    await expect(loadAdapter(folder, model)).rejects.toMatchObject({ code: 'WEFT_ADAPTER_NOT_FOUND' });
    await saveAdapter(folder, model, { layout, adapter: initAdapter(layout, 5) });
    const file = path.join(folder, 'adapter_model.safetensors');
    const bytes = await readFile(file);
    await writeFile(file, bytes.subarray(0, bytes.length - 4));
    await expect(loadAdapter(folder, model)).rejects.toMatchObject({ code: 'WEFT_ADAPTER_CORRUPT' });
    await rm(file);
    await expect(loadAdapter(folder, model)).rejects.toMatchObject({ code: 'WEFT_ADAPTER_NOT_FOUND' });
  });

  it('is refused when it names other tensors', async () => {
    await saveAdapter(folder, model, { layout, adapter: initAdapter(layout, 5) });
    const tensors = layout.tensors.map(({ name, shape }) => ({
      name: name.replace('lora_A', 'lora_C'),
      dtype: 'F32' as const,
      shape,
      data: new Float32Array(shape[0] * shape[1]),
    }));
    await writeSafetensors(path.join(folder, 'adapter_model.safetensors'), tensors);
    await expect(loadAdapter(folder, model)).rejects.toMatchObject({ code: 'WEFT_ADAPTER_MISFIT' });
  });
});

it('a configuration is read, or refused with a catalogued error, whatever it holds', () => {
  const likely = fc.record({
    peft_type: fc.constant('LORA'),
    r: fc.jsonValue(),
    lora_alpha: fc.jsonValue(),
    target_modules: fc.jsonValue(),
  });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        likely.map((value) => JSON.stringify(value)),
      ),
      (json) => {
        try {
          expect(parseAdapterConfig(json).rank).toBeGreaterThan(0);
        } catch (error) {
          expect(isWeftError(error)).toBe(true);
        }
      },
    ),
  );
});

describe('a fresh adapter', () => {
  it('has B zero and A uniform in ±1/√in', () => {
    const wide = createAdapterLayout({ ...config, hiddenSize: 400 }, { rank: 64, alpha: 64, targets: ['q_proj'] });
    const values = initAdapter(wide, 1);
    for (const { factor, shape, offset } of wide.tensors) {
      const part = values.subarray(offset, offset + shape[0] * shape[1]);
      if (factor === 'B') expect(part.every((value) => value === 0)).toBe(true);
      if (factor === 'B') continue;
      const bound = 1 / Math.sqrt(400);
      expect(Math.max(...part)).toBeLessThanOrEqual(bound);
      expect(Math.max(...part)).toBeGreaterThan(0.99 * bound);
      expect(Math.min(...part)).toBeLessThan(-0.99 * bound);
      const variance = part.reduce((sum, value) => sum + value * value, 0) / part.length;
      expect(variance / (bound ** 2 / 3)).toBeCloseTo(1, 1);
    }
  });

  it('depends on its seed and on nothing else', () => {
    expect(initAdapter(layout, 3)).toEqual(initAdapter(layout, 3));
    expect(initAdapter(layout, 3)).not.toEqual(initAdapter(layout, 4));
  });
});

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAdapterLayout, createSeededRandom, loraTargets } from '@weft/shared';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tinyLlama } from '../../../test/gguf-file.ts';
import { zeroTensors, writeModelFolder } from '../../../test/model-folder.ts';
import { saveAdapter } from '../../adapters/peft-folder.ts';
import { evaluate } from '../../evaluate.ts';
import type { Model } from '../../models/model.ts';
import { weightShapes } from '../../models/weight-shapes.ts';
import { openModel } from '../../open-model.ts';
import { readGgufHeader } from '../../weights/gguf/read.ts';
import { parseConfigJson } from '../../weights/config-json.ts';
import { exportAdapter, type ExportOptions } from '../export-adapter.ts';
import { modelEntries } from './model-metadata.ts';
import { tokenizerEntries } from './tokenizer-metadata.ts';

const tiny = fileURLToPath(new URL('../../../../models/weft-tiny-llama', import.meta.url));
let root = '';
const at = (name: string): string => join(root, name);
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'weft-gguf-model-'));
});
afterEach(() => rm(root, { recursive: true }));

const write = (model: Model, change: Partial<ExportOptions> = {}) =>
  exportAdapter({ model, format: 'gguf', out: at('out.gguf'), command: 'weft export', ...change });
const opened = (name = 'out.gguf'): Promise<Model> => openModel(at(name), { cacheDir: at('cache') });

async function putAdapter(model: Model) {
  const random = createSeededRandom('adapter');
  const layout = createAdapterLayout(model.config, { rank: 3, alpha: 6, targets: loraTargets });
  const adapter = Float32Array.from({ length: layout.size }, () => (2 * random.uniform() - 1) * 0.1);
  await saveAdapter(at('adapter'), model, { layout, adapter });
  return { layout, adapter };
}

const lossOf = async (model: Model, adapted: object = {}): Promise<number> => {
  const inputIds = Int32Array.from({ length: 24 }, (_, i) => (i * 37 + 5) % 250);
  const examples = [{ inputIds, labels: inputIds }];
  const { lossSum, tokens } = await evaluate({ model, ...adapted, examples, threads: 1, device: 'cpu' });
  return lossSum / tokens;
};

describe('a GGUF of a folder', () => {
  it('opens as the same model, and scores as base and adapter do', async () => {
    const model = await openModel(tiny);
    const adapted = await putAdapter(model);
    await write(model, { adapter: at('adapter') });
    const merged = await opened();
    expect(merged.config).toEqual(model.config);
    const { vocabSize, bosTokenId, eosTokenId, padTokenId } = model.tokenizer;
    expect(merged.tokenizer).toMatchObject({ vocabSize, bosTokenId, eosTokenId, padTokenId });
    const text = 'Rzeka płynie<|endoftext|>\n\tif (x) { 12345 }';
    expect(merged.tokenizer.encode(text)).toEqual(model.tokenizer.encode(text));
    const [together, apart, base] = [await lossOf(merged), await lossOf(model, adapted), await lossOf(model)];
    expect(Math.abs(together - apart) / apart).toBeLessThan(1e-5);
    expect(Math.abs(together - base) / base).toBeGreaterThan(1e-2);
  });

  it.each([
    ['f16', 1e-3],
    ['q8_0', 1e-2],
  ] as const)('as %s has nearly the same loss in fewer bytes', async (dtype, tolerance) => {
    const model = await openModel(tiny);
    await write(model, { dtype });
    const { tensors, metadata } = await readGgufHeader(at('out.gguf'));
    expect(tensors.get('blk.0.attn_q.weight')?.type).toBe(dtype.toUpperCase());
    expect(tensors.get('blk.0.attn_norm.weight')?.type).toBe('F32');
    expect(metadata.get('general.file_type')).toBe(dtype === 'f16' ? 1 : 7);
    const base = await lossOf(model);
    expect(Math.abs((await lossOf(await opened())) - base) / base).toBeLessThan(tolerance);
  });

  it('holds rows that are no whole blocks in half precision', async () => {
    const model = await openModel(await writeModelFolder(at('base')));
    await write(model, { dtype: 'q8_0' });
    const { tensors } = await readGgufHeader(at('out.gguf'));
    expect(tensors.get('blk.0.attn_q.weight')?.type).toBe('F16');
  });

  it('has a token for every row of the embedding', async () => {
    const model = await openModel(await writeModelFolder(at('base')));
    await write(model);
    const { metadata } = await readGgufHeader(at('out.gguf'));
    const list = (key: string) => metadata.get(`tokenizer.ggml.${key}`) as readonly unknown[];
    // 256 bytes, </s>, and three rows that nothing has
    expect(list('tokens').slice(255)).toEqual(['ÿ', '</s>', '[PAD257]', '[PAD258]', '[PAD259]']);
    expect(list('token_type').slice(255)).toEqual([1, 3, 5, 5, 5]);
    expect(metadata.get('tokenizer.ggml.add_bos_token')).toBe(false);
  });

  it('carries the chat template, and whether a text begins with bos', async () => {
    const special = (id: number, content: string) => ({ id, content, special: true });
    const folder = await writeModelFolder(at('base'), {
      config: { bos_token_id: 257 },
      tokenizer: {
        added_tokens: [special(256, '</s>'), special(257, '<s>')],
        post_processor: {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: '<s>' } }, { Sequence: { id: 'A' } }],
        },
      },
    });
    await writeFile(join(folder, 'chat_template.jinja'), '{{ messages[0].content }}');
    await write(await openModel(folder));
    const { metadata } = await readGgufHeader(at('out.gguf'));
    expect(metadata.get('tokenizer.ggml.add_bos_token')).toBe(true);
    expect(metadata.get('tokenizer.ggml.bos_token_id')).toBe(257);
    expect((await opened()).tokenizer.renderChat([{ role: 'user', content: 'hello' }])).toBe('hello');
  });

  it('is refused where a weight leaves half precision, and nothing stays behind', async () => {
    const tensors = zeroTensors().map((tensor) => ({
      ...tensor,
      dtype: 'F32' as const,
      data: new Float32Array(tensor.shape.reduce((a, b) => a * b, 1)).fill(1e7),
    }));
    const model = await openModel(await writeModelFolder(at('base'), { tensors }));
    await expect(write(model, { dtype: 'f16' })).rejects.toMatchObject({ code: 'WEFT_EXPORT_OVERFLOW' });
    await expect(write(model, { dtype: 'q8_0' })).rejects.toMatchObject({ code: 'WEFT_EXPORT_OVERFLOW' });
    expect(await readdir(root)).toEqual(['base']);
  });
});

describe('a GGUF of each family', () => {
  const gemma = { sliding_window: 5, sliding_window_pattern: 2, rope_local_base_freq: 20, query_pre_attn_scalar: 4 };
  const llama3 = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 };

  it.each([
    ['llama', { rope_theta: 1e10, rope_scaling: { ...llama3, original_max_position_embeddings: 8192 } }],
    ['llama', { rope_scaling: { rope_type: 'linear', factor: 4 } }],
    ['mistral', { sliding_window: 32 }],
    ['qwen2', { rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 16 } }],
    ['qwen3', {}],
    ['smollm3', { num_hidden_layers: 4 }],
    ['gemma3_text', { ...gemma, num_hidden_layers: 4 }],
  ])('opens as the same %s with %j', async (family, change) => {
    const config = { model_type: family, head_dim: 4, num_hidden_layers: 2, ...change };
    const random = createSeededRandom('weights');
    const folder = await writeModelFolder(at('base'), { config, tensors: [] });
    const shapes = weightShapes(parseConfigJson(await readFile(join(folder, 'config.json'), 'utf8')).config);
    const tensors = [...shapes].map(([name, shape]) => {
      const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.uniform() - 0.5);
      return { name, dtype: 'F32' as const, shape, data };
    });
    const model = await openModel(await writeModelFolder(at('base'), { config, tensors }));
    await write(model);
    const again = await opened();
    // Within its window a text is computed alike, and longer ones are out of reach.
    // A query's divisor that is the usual one goes without saying.
    const { slidingWindow, queryPreAttnScalar = 4, ...numbers } = model.config;
    expect(queryPreAttnScalar).toBe(numbers.headDim);
    const reach =
      family === 'mistral' ? { maxPositions: slidingWindow?.size } : { ...(slidingWindow && { slidingWindow }) };
    // llama.cpp calls Mistral's architecture llama
    expect(again.config).toEqual({ ...numbers, ...reach, family: family === 'mistral' ? 'llama' : family });
    const [before, after] = [await lossOf(model), await lossOf(again)];
    expect(Math.abs(after - before) / before).toBeLessThan(1e-6);
  });
});

describe('a GGUF of a GGUF', () => {
  it('keeps tokenizer and numbers', async () => {
    await writeFile(at('in.gguf'), tinyLlama());
    const model = await opened('in.gguf');
    await write(model);
    const [before, after] = [await readGgufHeader(at('in.gguf')), await readGgufHeader(at('out.gguf'))];
    for (const [key, value] of before.metadata) {
      if (!key.startsWith('general.')) expect([key, after.metadata.get(key)]).toEqual([key, value]);
    }
    expect((await opened()).config).toEqual(model.config);
  });
});

describe('what llama.cpp would compute otherwise', () => {
  const configOf = (change: object) =>
    parseConfigJson(
      JSON.stringify({
        model_type: 'llama',
        hidden_size: 16,
        intermediate_size: 20,
        num_hidden_layers: 4,
        num_attention_heads: 4,
        vocab_size: 32,
        max_position_embeddings: 64,
        rms_norm_eps: 1e-5,
        ...change,
      }),
    ).config;
  const yarn = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 16 };
  const gemma = { model_type: 'gemma3_text', sliding_window: 8, query_pre_attn_scalar: 4, head_dim: 4 };

  it.each([
    [{ model_type: 'smollm3', no_rope_layers: [1, 0, 1, 0] }, 'each fourth'],
    [{ rope_scaling: { ...yarn, truncate: false } }, 'whole dimensions'],
    [{ rope_scaling: { ...yarn, beta_fast: 16 } }, '16 and 1, not 32 and 1'],
    [
      {
        model_type: 'qwen2',
        rope_scaling: { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
      },
      'llama3 in a qwen2',
    ],
    [{ ...gemma, query_pre_attn_scalar: 5 }, 'query_pre_attn_scalar 5, not 4'],
    [
      { ...gemma, layer_types: ['full', 'full', 'sliding', 'full'].map((kind) => `${kind}_attention`) },
      'without a period',
    ],
  ])('is refused by name: %j', (change, words) => {
    expect(() => modelEntries(configOf(change))).toThrow(words);
    expect(() => modelEntries(configOf(change))).toThrow('a GGUF cannot hold');
  });

  it('beyond a window is out of reach', () => {
    const lengthOf = (change: object, architecture: string) =>
      new Map(modelEntries(configOf(change))).get(`${architecture}.context_length`);
    expect(lengthOf({ model_type: 'mistral', sliding_window: 8 }, 'llama')).toEqual({ type: 'u32', value: 8 });
    expect(lengthOf(gemma, 'gemma3')).toEqual({ type: 'u32', value: 64 });
  });

  it('is a tokenizer with steps that llama.cpp lacks', async () => {
    const json = JSON.parse(await readFile(join(tiny, 'tokenizer.json'), 'utf8')) as {
      pre_tokenizer: object;
      model: object;
    };
    const entries = (change: object) => () =>
      tokenizerEntries({
        text: JSON.stringify({ ...json, ...change }),
        bosTokenId: undefined,
        eosTokenId: undefined,
        padTokenId: undefined,
        chatTemplate: undefined,
        addBosToken: undefined,
        rows: 2048,
      });
    expect(entries({})).not.toThrow();
    expect(entries({ normalizer: { type: 'NFC' } })).not.toThrow();
    expect(entries({ normalizer: { type: 'Lowercase' } })).toThrow('its normalizer');
    expect(entries({ pre_tokenizer: { ...json.pre_tokenizer, add_prefix_space: true } })).toThrow('how it cuts words');
    const cut = { type: 'Split', pattern: { Regex: 'x+' }, behavior: 'Isolated', invert: false };
    expect(entries({ pre_tokenizer: { type: 'Sequence', pretokenizers: [cut, json.pre_tokenizer] } })).toThrow(
      'how it cuts words',
    );
    expect(entries({ model: { ...json.model, ignore_merges: true } })).toThrow('how it cuts words');
    expect(entries({ model: { ...json.model, byte_fallback: true } })).toThrow('its normalizer');
  });
});

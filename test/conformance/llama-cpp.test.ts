import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AdapterLayout, createAdapterLayout, loraTargets } from '@weft/shared';
import {
  exportAdapter,
  initAdapter,
  type Model,
  openModel,
  parseConfigJson,
  saveAdapter,
  toTokenizerJson,
  trainBpe,
  weightShapes,
  writeSafetensors,
} from '@weft/trainer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { largestDifference, runLlamaCpp, runWeftModel } from './llama-cpp.ts';
import { findGguf, findPython, skips } from './python.ts';
import { sampleLines } from './sample-lines.ts';

const python = findPython(['llama_cpp']);
const gguf = findGguf();
const tiny = fileURLToPath(new URL('../../models/weft-tiny-llama', import.meta.url));
const tokens = 8;

const sizes = {
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  vocab_size: 260,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 100,
};

/** What each family brings into a GGUF: names, biases, norms, windows, the order of rows, every scaling of positions. */
const families = {
  llama: { model_type: 'llama' },
  'llama with llama3 scaling': {
    model_type: 'llama',
    rope_scaling: {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 32,
    },
  },
  'llama with linear scaling': { model_type: 'llama', rope_scaling: { rope_type: 'linear', factor: 4 } },
  'mistral with a window': { model_type: 'mistral', sliding_window: 32 },
  qwen2: { model_type: 'qwen2', tie_word_embeddings: true },
  'qwen2 with yarn': {
    model_type: 'qwen2',
    rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 16 },
  },
  'llama with yarn of its own amplitude': {
    model_type: 'llama',
    rope_scaling: {
      rope_type: 'yarn',
      factor: 4,
      original_max_position_embeddings: 16,
      attention_factor: 1.3,
    },
  },
  qwen3: { model_type: 'qwen3' },
  smollm3: { model_type: 'smollm3' },
  'gemma 3': {
    model_type: 'gemma3_text',
    sliding_window: 5,
    sliding_window_pattern: 2,
    rope_local_base_freq: 20,
    query_pre_attn_scalar: 8,
  },
};

const wave = (count: number, seed: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(1.7 * i * (1 + 0.01 * i) + 2.3 * seed));

/** A model of made-up weights in a folder. */
async function madeModel(folder: string, change: object): Promise<Model> {
  await mkdir(folder);
  const configJson = JSON.stringify({ ...sizes, ...change });
  await writeFile(join(folder, 'config.json'), configJson);
  const special = ['<s>'];
  const tokenizer = toTokenizerJson(trainBpe(['a b', 'a b'], { vocabSize: 258, specialTokens: special }), special);
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  const tensors = [...weightShapes(parseConfigJson(configJson).config)].map(([name, shape], index) => {
    const values = wave(
      shape.reduce((a, b) => a * b, 1),
      index,
    );
    const data = values.map((value) => (shape.length === 1 ? 1 + value / 10 : value / 3));
    return { name, dtype: 'F32' as const, shape, data };
  });
  await writeSafetensors(join(folder, 'model.safetensors'), tensors);
  return openModel(folder);
}

/** Pieces with ▁ for a space and bytes for what has no piece; merges are every way to put a piece together, as converters list them. */
function piecesJson(marksStart: boolean): object {
  const words = ['▁the', '▁river', '▁under', '▁bridge', '▁other', 'river', 'the', 'under', '▁▁'];
  const grown = words.flatMap((word) => Array.from({ length: word.length - 1 }, (_, i) => word.slice(0, i + 2)));
  const letters = ['▁', ...'abcdefghijklmnopqrstuvwxyzÜ,'];
  const hex = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, '0');
  const control = ['<unk>', '<s>', '</s>'];
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${hex(byte)}>`);
  const tokens = [...control, ...bytes, ...new Set(grown), ...letters];
  const known = new Set([...grown, ...letters]);
  const merges = [...new Set(grown)].flatMap((piece) =>
    Array.from({ length: piece.length - 1 }, (_, i) => [piece.slice(0, i + 1), piece.slice(i + 1)]).filter((parts) =>
      parts.every((part) => known.has(part)),
    ),
  );
  const spaces = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  return {
    added_tokens: control.map((content, id) => ({ id, content, special: true })),
    normalizer: marksStart ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, spaces] } : spaces,
    pre_tokenizer: null,
    decoder: null,
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

describe.skipIf(skips('llama', { 'Python with llama_cpp': python }))('llama.cpp', () => {
  let folder = '';
  const at = (name: string): string => join(folder, name);
  const llamaCpp = (jobs: Parameters<typeof runLlamaCpp>[2]) => runLlamaCpp(python as string, folder, jobs);
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weft-llama-cpp-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** An adapter that changes what the model says, and the exports of it. */
  async function exported(model: Model, name: string, strength: number) {
    const layout = createAdapterLayout(model.config, { rank: 4, alpha: 8, targets: loraTargets });
    const adapter = initAdapter(layout, 1).map((value, i) => (value === 0 ? Math.sin(i) * strength : value));
    await saveAdapter(at(`${name}-adapter`), model, { layout, adapter });
    const write = { model, adapter: at(`${name}-adapter`), command: 'weft export' };
    await exportAdapter({ ...write, format: 'gguf', out: at(`${name}-merged.gguf`) });
    await exportAdapter({ ...write, format: 'gguf-lora', out: at(`${name}-lora.gguf`) });
    await exportAdapter({ ...write, adapter: undefined, format: 'gguf', out: at(`${name}-base.gguf`) });
    return { layout, adapter };
  }

  /** Base with the adapter applied, and both in one file, say what Weft says. */
  async function speaksAlike(
    model: Model,
    name: string,
    adapted: { layout: AdapterLayout; adapter: Float32Array },
    texts: readonly string[],
  ) {
    const prompts = texts.map((text) => model.tokenizer.encode(text));
    const [applied, merged, base] = await llamaCpp([
      { model: at(`${name}-base.gguf`), lora: at(`${name}-lora.gguf`), prompts, tokens },
      { model: at(`${name}-merged.gguf`), prompts, tokens, lines: texts },
      { model: at(`${name}-base.gguf`), prompts: prompts.slice(0, 1) },
    ]);
    const ours = await runWeftModel(model, adapted, prompts, tokens);
    expect(merged?.ids).toEqual(prompts);
    expect(merged?.made).toEqual(ours.made);
    expect(applied?.made).toEqual(ours.made);
    expect(largestDifference(base?.logits[0] ?? [], merged?.logits[0] ?? [])).toBeGreaterThan(0.5);
  }

  it('says the same as Weft with the bundled model, merged and with the adapter applied', async () => {
    const model = await openModel(tiny);
    await speaksAlike(model, 'tiny', await exported(model, 'tiny', 0.05), [
      'The river',
      'Licensed under the Apache License, Version 2.0',
      'Rzeka płynie',
      'def main():',
    ]);
  }, 60_000);

  it.each(Object.entries(families))('computes a %s as Weft does', async (name, change) => {
    const model = await madeModel(at(name.replaceAll(' ', '-')), change);
    const layout = createAdapterLayout(model.config, { rank: 2, alpha: 4, targets: loraTargets });
    const adapter = wave(layout.size, 50).map((value) => value / 3);
    await saveAdapter(at(`${name}-adapter`), model, { layout, adapter });
    const write = { model, adapter: at(`${name}-adapter`), command: 'weft export' };
    await exportAdapter({ ...write, format: 'gguf', out: at(`${name}.gguf`) });
    await exportAdapter({ ...write, adapter: undefined, format: 'gguf', out: at(`${name}-base.gguf`) });
    await exportAdapter({ ...write, format: 'gguf-lora', out: at(`${name}-lora.gguf`) });
    const prompts = [9, 30].map((length) =>
      Array.from({ length }, (_, i) => (i * 37 + length) % model.config.vocabSize),
    );
    // relative to the largest logit; ggml looks Gemma's activation up in a table of half precision
    const tolerance = name === 'gemma 3' ? 1e-2 : 1e-4;
    const answers = await llamaCpp([
      { model: at(`${name}.gguf`), prompts },
      { model: at(`${name}-base.gguf`), lora: at(`${name}-lora.gguf`), prompts },
    ]);
    const ours = await runWeftModel(model, { layout, adapter }, prompts, 0);
    for (const { logits } of answers) {
      logits.forEach((row, i) => {
        const expected = ours.logits[i] ?? [];
        const largest = Math.max(...expected.map(Math.abs));
        expect(largest).toBeGreaterThan(0.1);
        expect(largestDifference(row, expected) / largest).toBeLessThan(tolerance);
      });
    }
  });

  it('cuts text into the same tokens', async () => {
    const model = await openModel(tiny);
    await exportAdapter({ model, format: 'gguf', out: at('tokens.gguf'), command: 'weft export' });
    const lines = sampleLines();
    const [answer] = await llamaCpp([{ model: at('tokens.gguf'), lines }]);
    expect(answer?.ids).toEqual(lines.map((line) => model.tokenizer.encode(line)));
  }, 60_000);

  it.each([
    ["Llama 2's, which marks the start of a text", true],
    ["Gemma's, which does not", false],
  ])('cuts text into the same pieces by a tokenizer like %s', async (name, marksStart) => {
    const folder = await madeModel(at(name), { model_type: 'llama', vocab_size: 700 });
    const place = folder.path;
    await writeFile(join(place, 'tokenizer.json'), JSON.stringify(piecesJson(marksStart)));
    const model = await openModel(place);
    await exportAdapter({ model, format: 'gguf', out: at(`${name}.gguf`), command: 'weft export' });
    const lines = [
      'the river',
      'under the bridge, the other river',
      'Ünder 12 bridges → 日本',
      '  two  spaces ',
      'riverunder</s>the',
    ];
    const [answer] = await llamaCpp([{ model: at(`${name}.gguf`), lines }]);
    expect(answer?.ids).toEqual(lines.map((line) => model.tokenizer.encode(line)));
    expect(answer?.ids[0]?.length).toBeLessThan(marksStart ? 3 : 4);
  });

  it.skipIf(skips('llama', { 'a SmolLM2 GGUF': gguf }))(
    'says the same as Weft with SmolLM2, merged and with the adapter applied',
    async () => {
      const model = await openModel(gguf as string, { cacheDir: at('cache') });
      await speaksAlike(model, 'smollm2', await exported(model, 'smollm2', 0.05), [
        'The capital of France is',
        'def main():',
        'Once upon a time',
      ]);
    },
    180_000,
  );
});

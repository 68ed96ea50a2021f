import { createHash } from 'node:crypto';
import { utimesSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isWeftError } from '@weft/shared';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tinyLlama } from '../test/gguf-file.ts';
import type { Model } from './models/model.ts';
import { openModel } from './open-model.ts';
import type { OnProgress } from './progress.ts';
import { cacheSettled } from './weights/gguf/cached-weights.ts';
import { dequantise } from './weights/gguf/dequantise.ts';
import { readTensor } from './weights/safetensors/read.ts';

let root: string;
let cacheDir: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'weft-model-'));
  cacheDir = join(root, 'cache');
});
afterEach(() => rm(root, { recursive: true }));

const open = (path: string): Promise<Model> => openModel(path, { cacheDir });

const refusal = async (path: string): Promise<string> =>
  open(path).then(
    () => 'accepted',
    (error: unknown) => {
      if (isWeftError(error)) return `${error.code} ${error.message}`;
      throw error;
    },
  );

async function putGguf(bytes: Uint8Array = tinyLlama()): Promise<string> {
  const file = join(root, 'tiny.gguf');
  await writeFile(file, bytes);
  return file;
}

test('a GGUF opens with its own configuration, tokenizer and hash', async () => {
  const file = await putGguf();
  const model = await open(file);
  expect(model).toMatchObject({
    name: 'Tiny Llama',
    path: file,
    sha256: createHash('sha256').update(tinyLlama()).digest('hex'),
  });
  expect(model.tensors.get('model.layers.1.self_attn.k_proj.weight')).toMatchObject({ dtype: 'F32', shape: [32, 64] });
  expect(model.tensors.size).toBe(20);
  expect(model.tokenizer.encode('ab</s>')).toEqual([258, 257]);
  expect(model.tokenizer).toMatchObject({ bosTokenId: 256, eosTokenId: 257, vocabSize: 259 });
});

test('a GGUF is unpacked once, into one file that is named by its hash and the type', async () => {
  const file = await putGguf();
  const model = await open(file);
  const name = `${model.sha256}-f32.safetensors`;
  expect(await readdir(cacheDir)).toEqual([name]);
  await cacheSettled();
  const before = await stat(join(cacheDir, name));
  await open(file);
  expect((await stat(join(cacheDir, name))).mtimeMs).toBe(before.mtimeMs);
  expect((await stat(cacheDir)).mode & 0o777).toBe(0o700);
});

test('processes that unpack the same GGUF at the same time all end well', async () => {
  const file = await putGguf();
  const models = await Promise.all(Array.from({ length: 4 }, () => open(file)));
  expect(new Set(models.map(({ sha256: hash }) => hash)).size).toBe(1);
  expect(await readdir(cacheDir)).toHaveLength(1);
});

test('a torn cache file is made again, and what a dead process left is removed', async () => {
  const file = await putGguf();
  const { sha256: hash } = await open(file);
  const cached = join(cacheDir, `${hash}-f32.safetensors`);
  await cacheSettled();
  const whole = await readFile(cached);
  await writeFile(cached, whole.subarray(0, 5000));
  const abandoned = join(cacheDir, `.${hash}-f32.safetensors.1.abc.tmp`);
  await writeFile(abandoned, 'x');
  await utimes(abandoned, 0, 0);
  await open(file);
  await cacheSettled();
  expect(await readFile(cached)).toEqual(whole);
  expect(await readdir(cacheDir)).toHaveLength(1);
});

test('a cache file that was not on the disk when its machine stopped is made again, whatever its length', async () => {
  const file = await putGguf();
  const { sha256: hash } = await open(file);
  await cacheSettled();
  const cached = join(cacheDir, `${hash}-f32.safetensors`);
  const whole = await readFile(cached);
  const lost = Buffer.from(whole.toString('latin1').replace('"weft.durable":"yes"', '"weft.durable":"no "'), 'latin1');
  await writeFile(cached, lost.fill(0, lost.length / 2));
  await open(file);
  await cacheSettled();
  expect(await readFile(cached)).toEqual(whole);
});

describe('a GGUF that is worth threads', () => {
  const embedding = Uint8Array.from({ length: 70_000 * 2 * 34 }, (_, i) => (i % 34 === 1 ? 0x2c : (i * 31) % 251));
  const large = tinyLlama({
    tensors: [{ name: 'token_embd.weight', type: 'Q8_0', shape: [70_000, 64], bytes: embedding }],
  });

  test('is hashed, and unpacked to the same values', async () => {
    const seen = new Map<string, { doneBytes: number; totalBytes: number }>();
    const onProgress: OnProgress = ({ phase, ...progress }) => seen.set(phase, progress);
    const model = await openModel(await putGguf(large), { cacheDir, onProgress });
    expect(model.sha256).toBe(createHash('sha256').update(large).digest('hex'));
    for (const { doneBytes, totalBytes } of seen.values()) expect(doneBytes).toBe(totalBytes);
    const expected = new Float32Array(70_000 * 64);
    dequantise('Q8_0', embedding, expected);
    const ref = model.tensors.get('model.embed_tokens.weight');
    expect(ref && Buffer.compare(Buffer.from((await readTensor(ref)).buffer), Buffer.from(expected.buffer))).toBe(0);
  });

  test('leaves nothing in the cache when it is stopped, or changes meanwhile, or its tokenizer is refused', async () => {
    const stop = new AbortController();
    const file = await putGguf(large);
    const onFirst = (act: () => void): OnProgress => {
      let done = false;
      return ({ phase }) => {
        if (phase === 'unpack' && !done) act();
        done ||= phase === 'unpack';
      };
    };
    await expect(
      openModel(file, { cacheDir, signal: stop.signal, onProgress: onFirst(() => stop.abort()) }),
    ).rejects.toThrow('aborted');
    await expect(openModel(file, { cacheDir, onProgress: onFirst(() => utimesSync(file, 1, 1)) })).rejects.toThrow(
      'changed while it was read',
    );
    await writeFile(file, large.toString('latin1').replace('smollm', 'tekken'), 'latin1');
    await expect(openModel(file, { cacheDir })).rejects.toThrow('the pre-tokenizer is tekken');
    expect(await readdir(cacheDir)).toEqual([]);
  });
});

test('unpacking undoes the order of q, and leaves v as it is', async () => {
  const rows = (count: number): Uint8Array =>
    new Uint8Array(Float32Array.from({ length: count * 64 }, (_, i) => Math.floor(i / 64)).buffer);
  const change = (name: string, count: number) =>
    ({ name, type: 'F32', shape: [count, 64], bytes: rows(count) }) as const;
  const model = await open(
    await putGguf(tinyLlama({ tensors: [change('blk.0.attn_q.weight', 64), change('blk.0.attn_v.weight', 32)] })),
  );
  const firstColumn = async (name: string): Promise<number[]> => {
    const ref = model.tensors.get(name);
    return ref === undefined ? [] : [...(await readTensor(ref))].filter((_, i) => i % 64 === 0);
  };
  const half = Array.from({ length: 16 }, (_, i) => 2 * i);
  const head = [...half, ...half.map((row) => row + 1)];
  expect(await firstColumn('model.layers.0.self_attn.q_proj.weight')).toEqual([
    ...head,
    ...head.map((row) => row + 32),
  ]);
  expect(await firstColumn('model.layers.0.self_attn.v_proj.weight')).toEqual(Array.from({ length: 32 }, (_, i) => i));
});

test('progress comes for hashing and for unpacking, and ends at the total', async () => {
  const seen = new Map<string, { doneBytes: number; totalBytes: number }>();
  await openModel(await putGguf(), { cacheDir, onProgress: ({ phase, ...progress }) => seen.set(phase, progress) });
  expect([...seen.keys()]).toEqual(['hash', 'unpack']);
  for (const { doneBytes, totalBytes } of seen.values()) expect(doneBytes).toBe(totalBytes);
});

test('opening stops when it is told to, and leaves nothing in the cache', async () => {
  const stop = new AbortController();
  const opened = openModel(await putGguf(), {
    cacheDir,
    signal: stop.signal,
    onProgress: ({ phase }) => phase === 'unpack' && stop.abort(),
  });
  await expect(opened).rejects.toThrow('aborted');
  expect(await readdir(cacheDir)).toEqual([]);
});

test('a GGUF that changes while it is read is refused, and nothing is cached under its hash', async () => {
  const file = await putGguf();
  let touched: Promise<void> | undefined;
  const opened = openModel(file, {
    cacheDir,
    onProgress: ({ phase }) => {
      if (phase === 'unpack') touched ??= utimes(file, 1, 1);
    },
  });
  await expect(opened).rejects.toThrow('the GGUF file changed while it was read');
  await touched;
  expect(await readdir(cacheDir)).toEqual([]);
});

test('a cache folder that cannot be made is an error that names WEFT_CACHE', async () => {
  await writeFile(cacheDir, 'a file stands in the way');
  const error = await open(await putGguf()).catch((caught: unknown) => caught);
  expect(isWeftError(error, 'WEFT_MODEL_CACHE_UNUSABLE') && error.todo).toContain('WEFT_CACHE');
});

test('tensors and features that a plain Llama lacks are refused by name', async () => {
  const f32 = (name: string, dims: number[]) => ({ name, type: 'F32', shape: dims }) as const;
  const cases: [Parameters<typeof tinyLlama>[0], string][] = [
    [
      { tensors: [f32('rope_freqs.weight', [16])] },
      "WEFT_MODEL_UNSUPPORTED gguf: rope_freqs.weight is not the table of Llama 3's scaling",
    ],
    [
      { tensors: [f32('rope_freqs.weight', [5000])] },
      'WEFT_MODEL_LIMIT gguf: vectorElements is 5000, the limit is 4096',
    ],
    [{ tensors: [f32('blk.0.attn_q.bias', [64])] }, 'WEFT_MODEL_UNSUPPORTED gguf: the model uses attention_bias'],
    [{ tensors: [f32('blk.0.attn_q_norm.weight', [32])] }, 'WEFT_MODEL_UNSUPPORTED gguf: the model uses qk-norm'],
    [{ without: ['blk.1.ffn_up.weight'] }, 'WEFT_MODEL_MISMATCH the weights lack model.layers.1.mlp.up_proj.weight'],
    [
      { tensors: [f32('blk.0.attn_v.weight', [64, 64])] },
      'WEFT_MODEL_MISMATCH model.layers.0.self_attn.v_proj.weight has the shape [64, 64], the configuration says [32, 64]',
    ],
    [
      { metadata: { 'tokenizer.ggml.model': { type: 'string', value: 'llama' } } },
      'WEFT_MODEL_UNSUPPORTED gguf: the tokenizer is llama; Weft reads gpt2, byte-level BPE',
    ],
    [
      { metadata: { 'tokenizer.ggml.pre': { type: 'string', value: 'tekken' } } },
      'WEFT_MODEL_UNSUPPORTED gguf: the pre-tokenizer is tekken',
    ],
    [
      { tensors: [{ name: 'token_embd.weight', type: 'F32', shape: [200, 64] }] },
      "WEFT_MODEL_TOKENIZER_MISFIT the tokenizer's ids go up to 258, the model has 200 rows of embedding",
    ],
    [
      { metadata: { 'tokenizer.ggml.eos_token_id': { type: 'u32', value: 5000 } } },
      'WEFT_MODEL_TOKENIZER_MISFIT a special token has the id 5000, the tokenizer has 259',
    ],
  ];
  for (const [change, expected] of cases) expect(await refusal(await putGguf(tinyLlama(change)))).toContain(expected);
});

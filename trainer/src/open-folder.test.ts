import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isWeftError } from '@weft/shared';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { configJson, folderConfig, writeModelFolder, zeroTensors, type FolderChange } from '../test/model-folder.ts';
import type { Model } from './models/model.ts';
import { openModel } from './open-model.ts';
import { parseConfigJson } from './weights/config-json.ts';
import { hashModel, modelFiles } from './weights/model-files.ts';
import { writeSafetensors, type TensorToWrite } from './weights/safetensors/write.ts';

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

const putFolder = (change: FolderChange = {}): Promise<string> => writeModelFolder(join(root, 'folder'), change);
const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');

test('a Hugging Face folder opens without a copy of its weights', async () => {
  const folder = await putFolder();
  const model = await open(folder);
  expect(model).toMatchObject({ name: 'folder', path: folder, config: folderConfig });
  expect(model.tensors.get('model.embed_tokens.weight')).toMatchObject({
    dtype: 'BF16',
    file: join(folder, 'model.safetensors'),
  });
  expect(model.tokenizer).toMatchObject({ vocabSize: 257, eosTokenId: 256 });
  await expect(stat(cacheDir)).rejects.toThrow('ENOENT');
});

test("a folder's hash is that of the sorted lines of sha256sum", async () => {
  const folder = await putFolder();
  await writeFile(join(folder, 'README.md'), 'not covered');
  const names = ['config.json', 'model.safetensors', 'tokenizer.json'];
  expect((await modelFiles(folder)).map(({ name }) => name)).toEqual(names);
  const lines = await Promise.all(
    names.map(async (name) => `${sha256(await readFile(join(folder, name)))}  ${name}\n`),
  );
  expect(await hashModel(folder)).toBe(sha256(lines.toSorted().join('')));
  expect((await open(folder)).sha256).toBe(await hashModel(folder));
});

test('features of config.json that the graph does not have are refused by name', async () => {
  const cases: [object, string][] = [
    [
      { model_type: 'phi3' },
      'config.json: model_type is phi3; Weft trains llama, mistral, qwen2, qwen3, smollm3, gemma3_text',
    ],
    [
      { model_type: 'gemma3', text_config: { model_type: 'gemma3_text' }, vision_config: { image_size: 896 } },
      'config.json: the model uses vision_config, it reads more than text',
    ],
    [gemma({ final_logit_softcapping: 30 }), 'config.json: the model uses final_logit_softcapping'],
    [gemma({ attn_logit_softcapping: 50 }), 'config.json: the model uses attn_logit_softcapping'],
    [gemma({ hidden_activation: 'silu' }), 'config.json: the model uses hidden_activation'],
    [gemma({ use_bidirectional_attention: true }), 'config.json: the model uses use_bidirectional_attention'],
    [{ rope_parameters: { rope_type: 'longrope' } }, 'config.json: the model uses rope_parameters of type longrope'],
    [
      { rope_parameters: { full_attention: { rope_theta: 5 }, sliding_attention: { rope_theta: 6 } } },
      'config.json: the model uses rope_parameters.full_attention, rope_parameters.sliding_attention',
    ],
    [{ model_type: 'qwen3', attention_bias: true }, 'config.json: the model uses attention_bias'],
    [{ model_type: 'smollm3', use_sliding_window: true }, 'config.json: the model uses use_sliding_window'],
    [{ layer_types: ['sliding_attention'] }, 'config.json: the model uses layer_types'],
    [{ model_type: 'qwen3', layer_types: ['chunked_attention'] }, 'config.json: the model uses layer_types.0'],
    [{ attention_bias: true }, 'config.json: the model uses attention_bias'],
    [{ mlp_bias: true }, 'config.json: the model uses mlp_bias'],
    [{ sliding_window: 4096 }, 'config.json: the model uses sliding_window'],
    [{ hidden_act: 'gelu' }, 'config.json: the model uses hidden_act'],
    [{ quantization_config: { bits: 4 } }, 'config.json: the model uses quantization_config'],
    [{ quantization_config: { quant_method: 'fp8' } }, 'config.json: the model uses quantization_config (fp8)'],
  ];
  for (const [config, expected] of cases)
    expect(await refusal(await putFolder({ config }))).toBe(`WEFT_MODEL_UNSUPPORTED ${expected}`);
  expect(await refusal(await putFolder({ config: { hidden_size: 'eight', num_hidden_layers: 0 } }))).toMatch(
    /^WEFT_MODEL_CORRUPT config.json: hidden_size: .*; num_hidden_layers: /,
  );
  expect(await refusal(await putFolder({ config: { num_hidden_layers: 10 ** 6 } }))).toBe(
    'WEFT_MODEL_LIMIT layers is 1000000, the limit is 512',
  );
});

test('a rotary scaling or a layer pattern that does not add up is refused', async () => {
  const cases: [object, RegExp][] = [
    [{ rope_scaling: { rope_type: 'llama3', factor: 8 } }, /^WEFT_MODEL_CORRUPT .*rope_scaling\.low_freq_factor: /],
    [
      { rope_scaling: { rope_type: 'llama3', factor: 8, low_freq_factor: 4, high_freq_factor: 4 } },
      /low_freq_factor is not below high_freq_factor$/,
    ],
    [{ rope_scaling: { type: 'linear', factor: 0 } }, /^WEFT_MODEL_CORRUPT .*rope_scaling\.factor: /],
    [{ rope_theta: 'large' }, /^WEFT_MODEL_CORRUPT config.json: rope_theta is no number above 1$/],
    [{ rope_theta: 1 }, /^WEFT_MODEL_CORRUPT config.json: rope_theta is no number above 1$/],
    [{ rope_scaling: 'linear' }, /^WEFT_MODEL_CORRUPT config.json: rope_scaling is no object$/],
    [
      gemma({ sliding_window: null }),
      /^WEFT_MODEL_CORRUPT config.json: sliding_window is not stated, and layers slide$/,
    ],
    [
      { model_type: 'smollm3', no_rope_layers: [] },
      /^WEFT_MODEL_CORRUPT config.json: no_rope_layers has 0 entries for 1 layers$/,
    ],
  ];
  for (const [config, expected] of cases) expect(await refusal(await putFolder({ config }))).toMatch(expected);
});

const gemma = (change: object): object => ({
  model_type: 'gemma3_text',
  hidden_activation: 'gelu_pytorch_tanh',
  num_hidden_layers: 3,
  sliding_window: 16,
  sliding_window_pattern: 3,
  rope_theta: 1e6,
  rope_local_base_freq: 1e4,
  ...change,
});

test('a Gemma 3 says the same in the keys of transformers 4 and of 5', () => {
  const parse = (json: object) => parseConfigJson(JSON.stringify({ ...configJson, ...gemma(json) })).config;
  const asOf4 = parse({ rope_scaling: { rope_type: 'linear', factor: 8 } });
  expect(asOf4).toMatchObject({
    slidingWindow: { size: 16, layers: [0, 1] },
    ropeTheta: 1e6,
    ropeScaling: { type: 'linear', factor: 8 },
    localRope: { ropeTheta: 1e4 },
    queryPreAttnScalar: 256,
  });
  const asOf5 = parse({
    sliding_window_pattern: undefined,
    layer_types: ['sliding_attention', 'sliding_attention', 'full_attention'],
    rope_theta: undefined,
    rope_local_base_freq: undefined,
    rope_parameters: {
      full_attention: { rope_type: 'linear', factor: 8, rope_theta: 1e6 },
      sliding_attention: { rope_type: 'default', rope_theta: 1e4 },
    },
    query_pre_attn_scalar: 256,
  });
  expect(asOf5).toEqual(asOf4);
});

test('a text ends at every token that config.json and generation_config.json name, if the tokenizer has it', async () => {
  const added_tokens = [256, 257, 258].map((id) => ({ id, content: `<end ${id}>`, special: true }));
  const folder = await putFolder({ tokenizer: { added_tokens }, config: { eos_token_id: [257, 256] } });
  expect((await open(folder)).tokenizer).toMatchObject({ eosTokenId: 257, endTokenIds: [257, 256] });
  await writeFile(join(folder, 'generation_config.json'), JSON.stringify({ eos_token_id: [256, 258, 999, 'x'] }));
  expect((await open(folder)).tokenizer).toMatchObject({ eosTokenId: 257, endTokenIds: [257, 256, 258] });
  await writeFile(join(folder, 'generation_config.json'), JSON.stringify({ eos_token_id: 258 }));
  expect((await open(folder)).tokenizer.endTokenIds).toEqual([257, 256, 258]);
});

test("a token that only a family's larger siblings have is text where the model has no row for it", async () => {
  const added_tokens = [
    { id: 257, content: '</s>', special: true },
    { id: 260, content: '<image_soft_token>', special: true },
  ];
  expect(await refusal(await putFolder({ tokenizer: { added_tokens } }))).toMatch(/^WEFT_MODEL_TOKENIZER_MISFIT/);
  const config = { ...gemma({ num_hidden_layers: 1, sliding_window_pattern: 1 }), head_dim: 4 };
  const tensors = zeroTensors('gemma3_text');
  const { tokenizer } = await open(await putFolder({ config, tensors, tokenizer: { added_tokens } }));
  expect(tokenizer.encode('<image')).toHaveLength('<image'.length);
  expect(tokenizer.encode('<image_soft_token>')).toHaveLength('<image_soft_token>'.length);
});

test('the rotary base is read where transformers 5 writes it', async () => {
  const folder = await putFolder({
    config: { rope_theta: undefined, rope_parameters: { rope_type: 'default', rope_theta: 500_000 } },
  });
  expect((await open(folder)).config.ropeTheta).toBe(500_000);
});

test('tensors that do not fit the configuration are refused by name', async () => {
  expect(await refusal(await putFolder({ tensors: zeroTensors().slice(1) }))).toBe(
    'WEFT_MODEL_MISMATCH the weights lack model.embed_tokens.weight',
  );
  const extra = (name: string): TensorToWrite[] => [
    ...zeroTensors(),
    { name, dtype: 'F32', shape: [1], data: new Float32Array(1) },
  ];
  expect(await refusal(await putFolder({ tensors: extra('model.layers.0.self_attn.q_norm.weight') }))).toBe(
    'WEFT_MODEL_UNSUPPORTED the model uses qk-norm',
  );
  expect(await refusal(await putFolder({ tensors: extra('model.layers.7.input_layernorm.weight') }))).toBe(
    'WEFT_MODEL_MISMATCH the weights hold layer 7, the configuration says 1 layers',
  );
  expect(await refusal(await putFolder({ tensors: extra('model.layers.0.self_attn.rotary_emb.inv_freq') }))).toBe(
    'accepted',
  );
});

test('a tokenizer that does not fit the model is refused', async () => {
  const added = [{ id: 260, content: '<one too many>', special: true }];
  expect(await refusal(await putFolder({ tokenizer: { added_tokens: added } }))).toBe(
    "WEFT_MODEL_TOKENIZER_MISFIT the tokenizer's ids go up to 260, the model has 260 rows of embedding",
  );
});

const sharded = async (weightMap: (name: string, i: number) => string): Promise<string> => {
  const folder = await putFolder();
  const tensors = zeroTensors();
  await unlink(join(folder, 'model.safetensors'));
  await writeSafetensors(join(folder, 'model-00001-of-00002.safetensors'), tensors.slice(0, 5));
  await writeSafetensors(join(folder, 'model-00002-of-00002.safetensors'), tensors.slice(5));
  const map = Object.fromEntries(tensors.map(({ name }, i) => [name, weightMap(name, i)]));
  await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
  return folder;
};
const rightShard = (_: string, i: number): string => `model-0000${i < 5 ? 1 : 2}-of-00002.safetensors`;

test('a sharded folder opens with its index and, by the same hash, without it', async () => {
  const folder = await sharded(rightShard);
  const withIndex = await open(folder);
  await unlink(join(folder, 'model.safetensors.index.json'));
  const without = await open(folder);
  expect(without.sha256).toBe(withIndex.sha256);
  expect(without.tensors).toEqual(withIndex.tensors);
});

test('a shard that is missing, or misses a tensor, is named', async () => {
  const second = 'model-00002-of-00002.safetensors';
  const index = 'model.safetensors.index.json';
  const folder = await sharded(rightShard);
  await writeSafetensors(join(folder, second), zeroTensors().slice(6));
  const lost = zeroTensors()[5]?.name;
  expect(await refusal(folder)).toBe(
    `WEFT_MODEL_CORRUPT the index places ${lost} in ${second}, which does not hold it`,
  );
  await unlink(join(folder, index));
  expect(await refusal(folder)).toBe(`WEFT_MODEL_MISMATCH the weights lack ${lost}`);
  await unlink(join(folder, second));
  expect(await refusal(folder)).toBe(`WEFT_MODEL_CORRUPT the folder has 1 of 2 shards, ${second} is missing`);
});

test('an index that leaves the folder, or places a tensor where it is not, is refused', async () => {
  for (const path of [
    '../model.safetensors',
    '/etc/passwd',
    'sub/model.safetensors',
    '..\\model.safetensors',
    '..',
    '.hidden.safetensors',
  ]) {
    expect(await refusal(await sharded(() => path))).toContain(
      `WEFT_MODEL_PATH_ESCAPES the safetensors index names ${path}, which is no plain file name`,
    );
  }
  expect(await refusal(await sharded(() => 'config.json'))).toContain(
    'WEFT_MODEL_CORRUPT the safetensors index names config.json, which is no .safetensors file',
  );
  expect(await refusal(await sharded(() => 'model-00001-of-00002.safetensors'))).toContain(
    'in model-00001-of-00002.safetensors, which does not hold it',
  );
  expect(await refusal(await sharded(() => 'absent.safetensors'))).toBe(
    'WEFT_MODEL_NOT_FOUND the folder holds no absent.safetensors',
  );
});

test('a symbolic link that leaves the folder is refused, one inside it is not', async () => {
  const names = ['config.json', 'tokenizer.json', 'model.safetensors'];
  for (const name of names) {
    const folder = await putFolder();
    const outside = join(root, `outside-${name}`);
    await copyFile(join(folder, name), outside);
    await unlink(join(folder, name));
    await symlink(outside, join(folder, name));
    expect(await refusal(folder)).toBe(
      `WEFT_MODEL_PATH_ESCAPES ${name} is a symbolic link that leaves the model's folder`,
    );
    await unlink(join(folder, name));
  }
  const folder = await putFolder();
  await copyFile(join(folder, 'config.json'), join(folder, 'real.json'));
  await unlink(join(folder, 'config.json'));
  await symlink('real.json', join(folder, 'config.json'));
  expect(await refusal(folder)).toBe('accepted');
});

test('a path that holds no model is refused', async () => {
  expect(await refusal(join(root, 'nothing'))).toBe('WEFT_MODEL_NOT_FOUND there is no model at the path (ENOENT)');
  await mkdir(join(root, 'empty'));
  expect(await refusal(join(root, 'empty'))).toBe('WEFT_MODEL_NOT_FOUND the folder holds no .safetensors file');
  await writeFile(join(root, 'model.bin'), 'x');
  expect(await refusal(join(root, 'model.bin'))).toBe(
    'WEFT_MODEL_NOT_FOUND the path is neither a folder nor a .gguf file',
  );
});

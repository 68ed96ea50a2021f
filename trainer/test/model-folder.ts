import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { byteAlphabet } from '../src/tokenizer/byte-alphabet.ts';
import type { FamilyName } from '../src/models/families.ts';
import { weightShapes } from '../src/models/weight-shapes.ts';
import { writeSafetensors, type TensorToWrite } from '../src/weights/safetensors/write.ts';

/** Writes Hugging Face folders for tests: a one-layer Llama of zeros over the bytes, with whatever a test changes. */

export const folderConfig = {
  family: 'llama',
  hiddenSize: 8,
  intermediateSize: 12,
  layers: 1,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
  vocabSize: 260,
  ropeTheta: 10_000,
  rmsNormEps: 1e-5,
  tieWordEmbeddings: true,
  maxPositions: 64,
} as const;

export const configJson = {
  model_type: 'llama',
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  vocab_size: 260,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: true,
  eos_token_id: [256, 257],
};

const tokenizerJson = {
  added_tokens: [{ id: 256, content: '</s>', special: true }],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
  decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', vocab: Object.fromEntries(byteAlphabet.map((letter, byte) => [letter, byte])), merges: [] },
};

export const zeroTensors = (family: FamilyName = 'llama'): TensorToWrite[] =>
  [...weightShapes({ ...folderConfig, family })].map(([name, shape]) => ({
    name,
    dtype: 'BF16',
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
  }));

export interface FolderChange {
  readonly config?: object;
  readonly tokenizer?: object;
  readonly tensors?: TensorToWrite[];
}

export async function writeModelFolder(folder: string, change: FolderChange = {}): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'config.json'), JSON.stringify({ ...configJson, ...change.config }));
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify({ ...tokenizerJson, ...change.tokenizer }));
  await writeSafetensors(join(folder, 'model.safetensors'), change.tensors ?? zeroTensors());
  return folder;
}

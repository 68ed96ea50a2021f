import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '@weft/shared';
import {
  hashModel,
  initWeights,
  toTokenizerJson,
  trainBpe,
  weightShapes,
  writeSafetensors,
  type ModelConfig,
} from '@weft/trainer';

export const smallModelConfig: ModelConfig = {
  family: 'llama',
  hiddenSize: 8,
  intermediateSize: 8,
  layers: 1,
  heads: 1,
  kvHeads: 1,
  headDim: 8,
  vocabSize: 257,
  ropeTheta: 10_000,
  rmsNormEps: 1e-5,
  tieWordEmbeddings: true,
  maxPositions: 16,
};

/** A model of a few thousand weights, and what a coordinator offers of it. */
export async function writeSmallModel(path: string, seed: number) {
  await mkdir(path);
  const shapes = weightShapes(smallModelConfig);
  await writeSafetensors(
    join(path, 'model.safetensors'),
    [...initWeights(smallModelConfig, seed)].map(([tensor, data]) => ({
      name: tensor,
      dtype: 'F32' as const,
      shape: shapes.get(tensor)!,
      data,
    })),
  );
  await writeFile(
    join(path, 'tokenizer.json'),
    JSON.stringify(toTokenizerJson(trainBpe([], { vocabSize: 257, specialTokens: ['<e>'] }), ['<e>'])),
  );
  await writeFile(
    join(path, 'config.json'),
    JSON.stringify({
      model_type: 'llama',
      hidden_act: 'silu',
      hidden_size: 8,
      intermediate_size: 8,
      num_hidden_layers: 1,
      num_attention_heads: 1,
      num_key_value_heads: 1,
      head_dim: 8,
      vocab_size: 257,
      max_position_embeddings: 16,
      rope_theta: 10_000,
      rms_norm_eps: 1e-5,
      tie_word_embeddings: true,
      eos_token_id: 0,
    }),
  );
  const names = ['config.json', 'model.safetensors', 'tokenizer.json'];
  const contents = await Promise.all(names.map((file) => readFile(join(path, file))));
  return {
    path,
    sha256: await hashModel(path),
    files: names.map((file, i) => ({ name: file, sha256: sha256(contents[i]!), sizeBytes: contents[i]!.length })),
    blobs: contents.map((bytes): [string, Uint8Array] => [sha256(bytes), new Uint8Array(bytes)]),
  };
}

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  initWeights,
  toTokenizerJson,
  trainBpe,
  weightShapes,
  writeSafetensors,
  type ModelConfig,
} from '@weft/trainer';

const specialTokens = ['<|endoftext|>'];
const vocabSize = 320;

const config: ModelConfig = {
  family: 'llama',
  hiddenSize: 32,
  intermediateSize: 64,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 8,
  vocabSize,
  ropeTheta: 10_000,
  rmsNormEps: 1e-5,
  tieWordEmbeddings: true,
  maxPositions: 128,
};

/** A Llama of 30,000 random weights with a byte-level tokenizer: a round on it takes a second. */
export async function writeTinyModel(folder: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const bpe = trainBpe([text], { vocabSize, specialTokens });
  const shapes = weightShapes(config);
  const tensors = [...initWeights(config, 1)].map(([name, data]) => ({
    name,
    dtype: 'F32' as const,
    shape: shapes.get(name)!,
    data,
  }));
  await writeSafetensors(join(folder, 'model.safetensors'), tensors);
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(toTokenizerJson(bpe, specialTokens)));
  await writeFile(
    join(folder, 'config.json'),
    JSON.stringify({
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      hidden_act: 'silu',
      hidden_size: config.hiddenSize,
      intermediate_size: config.intermediateSize,
      num_hidden_layers: config.layers,
      num_attention_heads: config.heads,
      num_key_value_heads: config.kvHeads,
      head_dim: config.headDim,
      vocab_size: vocabSize,
      max_position_embeddings: config.maxPositions,
      rope_theta: config.ropeTheta,
      rms_norm_eps: config.rmsNormEps,
      tie_word_embeddings: true,
      eos_token_id: 0,
    }),
  );
}

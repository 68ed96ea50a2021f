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

export const tinyModelConfig: ModelConfig = {
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
  const shapes = weightShapes(tinyModelConfig);
  const tensors = [...initWeights(tinyModelConfig, 1)].map(([name, data]) => ({
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
      hidden_size: tinyModelConfig.hiddenSize,
      intermediate_size: tinyModelConfig.intermediateSize,
      num_hidden_layers: tinyModelConfig.layers,
      num_attention_heads: tinyModelConfig.heads,
      num_key_value_heads: tinyModelConfig.kvHeads,
      head_dim: tinyModelConfig.headDim,
      vocab_size: vocabSize,
      max_position_embeddings: tinyModelConfig.maxPositions,
      rope_theta: tinyModelConfig.ropeTheta,
      rms_norm_eps: tinyModelConfig.rmsNormEps,
      tie_word_embeddings: true,
      eos_token_id: 0,
    }),
  );
}

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toTokenizerJson, trainBpe, weightShapes, writeSafetensors } from '@weft/trainer';
import { architecture, endOfText } from './recipe.ts';

const writeJson = (file: string, content: object) => writeFile(file, `${JSON.stringify(content, undefined, 1)}\n`);

/** config.json, in transformers' words. */
export async function writeConfig(dir: string): Promise<void> {
  await writeJson(join(dir, 'config.json'), {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    hidden_size: architecture.hiddenSize,
    intermediate_size: architecture.intermediateSize,
    num_hidden_layers: architecture.layers,
    num_attention_heads: architecture.heads,
    num_key_value_heads: architecture.kvHeads,
    head_dim: architecture.headDim,
    vocab_size: architecture.vocabSize,
    max_position_embeddings: architecture.maxPositions,
    rope_theta: architecture.ropeTheta,
    rms_norm_eps: architecture.rmsNormEps,
    tie_word_embeddings: architecture.tieWordEmbeddings,
    bos_token_id: null,
    eos_token_id: 0,
    pad_token_id: null,
    torch_dtype: 'float32',
  });
}

/** Trains the tokenizer and writes it, with the class by which transformers takes it as it is. */
export async function writeTokenizer(dir: string, texts: Iterable<string>): Promise<void> {
  const specialTokens = [endOfText];
  const bpe = trainBpe(texts, { vocabSize: architecture.vocabSize, specialTokens });
  if (bpe.tokens.length !== architecture.vocabSize)
    throw new Error(`the text gives ${bpe.tokens.length} tokens, the model has ${architecture.vocabSize}`);
  await writeFile(join(dir, 'tokenizer.json'), JSON.stringify(toTokenizerJson(bpe, specialTokens)));
  await writeJson(join(dir, 'tokenizer_config.json'), {
    tokenizer_class: 'PreTrainedTokenizerFast',
    eos_token: endOfText,
    model_max_length: architecture.maxPositions,
    clean_up_tokenization_spaces: false,
  });
}

export async function writeWeights(dir: string, weights: ReadonlyMap<string, Float32Array>): Promise<void> {
  const tensors = Array.from(weightShapes(architecture), ([name, shape]) => ({
    name,
    dtype: 'F32' as const,
    shape,
    data: weights.get(name) as Float32Array,
  }));
  await writeSafetensors(join(dir, 'model.safetensors'), tensors, { metadata: { format: 'pt' } });
}

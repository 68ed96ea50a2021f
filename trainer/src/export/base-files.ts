import { copyFile, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tokenizerJsonFromGguf } from '../tokenizer/from-gguf.ts';
import type { Model, ModelConfig } from '../models/model.ts';
import { readGgufHeader } from '../weights/gguf/read.ts';
import { insideFolder, locateModel } from '../weights/model-files.ts';

/** What belongs to a Hugging Face model beside config.json and the weights, copied as it is where the base has it. */
const companions = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'generation_config.json',
  'LICENSE',
  'LICENSE.md',
  'LICENSE.txt',
  'NOTICE',
];

type Json = Readonly<Record<string, unknown>>;

/**
 * Writes configuration and tokenizer: those of a folder, or what a GGUF's metadata says in Hugging Face's words.
 * @param change to config.json; without it a folder's is copied byte for byte
 */
export async function writeBaseFiles(model: Model, folder: string, change?: (config: Json) => Json): Promise<void> {
  const place = await locateModel(model.path);
  if (place.kind === 'gguf') return writeFromGguf(model, place.file, folder, change);
  for (const name of companions) {
    if ((await stat(join(place.folder, name)).catch(() => undefined)) === undefined) continue;
    await copyFile(await insideFolder(place.folder, name), join(folder, name));
  }
  const text = await readFile(await insideFolder(place.folder, 'config.json'), 'utf8');
  await writeFile(join(folder, 'config.json'), change ? toJson(change(JSON.parse(text) as Json)) : text);
}

/** transformers 4 calls it torch_dtype, 5 dtype; both take what they find. */
export const withFloat32 = (config: Json): Json => ({
  ...config,
  [Object.hasOwn(config, 'dtype') ? 'dtype' : 'torch_dtype']: 'float32',
});

async function writeFromGguf(model: Model, file: string, folder: string, change = (json: Json): Json => json) {
  const { metadata } = await readGgufHeader(file);
  const json = tokenizerJsonFromGguf(metadata) as { added_tokens: { id: number; content: string }[] };
  const { bosTokenId, eosTokenId, padTokenId } = model.tokenizer;
  const token = (id: number | undefined): string | undefined =>
    json.added_tokens.find((added) => added.id === id)?.content;
  const template = metadata.get('tokenizer.chat_template');
  const tokenizerConfig = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: token(bosTokenId),
    eos_token: token(eosTokenId),
    pad_token: token(padTokenId),
    chat_template: typeof template === 'string' ? template : undefined,
    model_max_length: model.config.maxPositions,
    clean_up_tokenization_spaces: false,
  };
  const ids = { bos_token_id: bosTokenId, eos_token_id: eosTokenId, pad_token_id: padTokenId };
  await writeFile(join(folder, 'config.json'), toJson(change({ ...configJson(model.config), ...ids })));
  await writeFile(join(folder, 'generation_config.json'), toJson(ids));
  await writeFile(
    join(folder, 'tokenizer.json'),
    JSON.stringify({ version: '1.0', truncation: null, padding: null, ...json }),
  );
  await writeFile(join(folder, 'tokenizer_config.json'), toJson(tokenizerConfig));
}

/** Inverse of parseConfigJson. */
function configJson(config: ModelConfig): Record<string, unknown> {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: config.family,
    hidden_act: 'silu',
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    vocab_size: config.vocabSize,
    max_position_embeddings: config.maxPositions,
    rope_theta: config.ropeTheta,
    rms_norm_eps: config.rmsNormEps,
    tie_word_embeddings: config.tieWordEmbeddings,
    torch_dtype: 'float32',
  };
}

export const toJson = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

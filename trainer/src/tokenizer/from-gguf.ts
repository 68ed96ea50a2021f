import { WeftError } from '@weft/shared';
import type { GgufValue } from '../weights/gguf/header.ts';
import { isInByteAlphabet, toByteAlphabet } from './byte-alphabet.ts';
import { createTokenizer } from './byte-pair-tokenizer.ts';
import { tokenizerLimits } from './limits.ts';
import { splitByGgufName } from './split-patterns.ts';
import { checkTokenizerJson, type AddedTokenJson } from './tokenizer-json.ts';
import type { Tokenizer } from './tokenizer.ts';

/** `tokenizer.ggml.token_type` (llama.h, llama_token_type). */
const control = 3;
const userDefined = 4;

type Metadata = ReadonlyMap<string, GgufValue>;

/** The tokenizer.json that a GGUF's metadata stands for, by the rules of transformers' GGUF reader. */
export function tokenizerJsonFromGguf(metadata: Metadata): unknown {
  const model = metadata.get('tokenizer.ggml.model');
  if (model !== 'gpt2')
    throw unsupported('tokenizer', `the tokenizer is ${named(model)}; Weft reads gpt2, byte-level BPE`);
  const pre = metadata.get('tokenizer.ggml.pre') ?? 'default';
  const regex = typeof pre === 'string' && Object.hasOwn(splitByGgufName, pre) ? splitByGgufName[pre] : undefined;
  if (regex === undefined)
    throw unsupported(
      'pre-tokenizer',
      `the pre-tokenizer is ${named(pre)}; Weft knows ${Object.keys(splitByGgufName).join(', ')}`,
    );
  const tokens = strings(metadata, 'tokenizer.ggml.tokens');
  const limit = tokenizerLimits.vocabulary;
  if (tokens.length > limit)
    throw new WeftError('WEFT_MODEL_LIMIT', `gguf: vocabulary is ${tokens.length}, the limit is ${limit}`, {
      limit: 'gguf.vocabulary',
      actual: tokens.length,
    });
  const vocabulary = new Map(tokens.map((token, id) => [isInByteAlphabet(token) ? token : toByteAlphabet(token), id]));
  return {
    added_tokens: addedTokens(metadata, tokens, vocabulary),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      unk_token: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary),
      merges: strings(metadata, 'tokenizer.ggml.merges'),
    },
  };
}

export function tokenizerFromGguf(metadata: Metadata): Tokenizer {
  const template = metadata.get('tokenizer.chat_template');
  return createTokenizer(checkTokenizerJson(tokenizerJsonFromGguf(metadata)), {
    bosTokenId: tokenId(metadata, 'bos'),
    eosTokenId: tokenId(metadata, 'eos'),
    endTokenIds: ['eot', 'eom'].flatMap((role) => tokenId(metadata, role) ?? []),
    padTokenId: tokenId(metadata, 'padding'),
    chatTemplate: typeof template === 'string' ? template : undefined,
  });
}

/** Tokens that are matched whole in the text: control and user-defined ones, and those with a role. */
function addedTokens(
  metadata: Metadata,
  tokens: readonly string[],
  vocabulary: ReadonlyMap<string, number>,
): AddedTokenJson[] {
  const types = metadata.get('tokenizer.ggml.token_type');
  const typeOf = (id: number): unknown => (Array.isArray(types) ? types[id] : undefined);
  const roles = new Set(['bos', 'eos', 'unknown', 'padding'].map((role) => tokenId(metadata, role)));
  const added = new Map<number, AddedTokenJson>();
  tokens.forEach((content, id) => {
    const type = typeOf(id);
    // a control token outside the byte alphabet is a mislabelled piece of text, unless it has a role
    const isControl = (type === control && isInByteAlphabet(content)) || roles.has(id) || content === '<|endoftext|>';
    const isWhole = isControl || (type === userDefined && vocabulary.has(content));
    if (isWhole && content.length > 0) {
      added.set(id, {
        id,
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: isControl,
      });
    }
  });
  return [...added.values()];
}

function tokenId(metadata: Metadata, role: string): number | undefined {
  const id = metadata.get(`tokenizer.ggml.${role}_token_id`);
  return typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < 0xffffffff ? id : undefined;
}

function strings(metadata: Metadata, key: string): string[] {
  const value = metadata.get(key);
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
    throw new WeftError('WEFT_MODEL_CORRUPT', `gguf: ${key} is no array of strings`);
  return value;
}

const unsupported = (feature: string, what: string): WeftError =>
  new WeftError('WEFT_MODEL_UNSUPPORTED', `gguf: ${what}`, { feature });
const named = (value: GgufValue | undefined): string => (typeof value === 'string' ? value.slice(0, 40) : 'not stated');

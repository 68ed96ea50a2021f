import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { WeftError } from '@weft/shared';
import { createChatRenderer } from './chat-template.ts';
import type { TokenizerJson } from './tokenizer-json.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface TokenizerRoles {
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  /** Beside eosTokenId. */
  readonly endTokenIds?: readonly number[] | undefined;
  readonly padTokenId: number | undefined;
  readonly chatTemplate: string | undefined;
}

export function createTokenizer(json: TokenizerJson, roles: TokenizerRoles): Tokenizer {
  const inner = construct(json);
  const vocabSize = largestId(json) + 1;
  for (const id of [roles.bosTokenId, roles.eosTokenId, roles.padTokenId]) {
    if (id !== undefined && id >= vocabSize)
      throw new WeftError(
        'WEFT_MODEL_TOKENIZER_MISFIT',
        `a special token has the id ${id}, the tokenizer has ${vocabSize}`,
      );
  }
  const textOf = (id: number | undefined): string => (id === undefined ? '' : (inner.id_to_token(id) ?? ''));
  return {
    vocabSize,
    bosTokenId: roles.bosTokenId,
    eosTokenId: roles.eosTokenId,
    endTokenIds: [...new Set([roles.eosTokenId ?? [], roles.endTokenIds ?? []].flat())].filter((id) => id < vocabSize),
    padTokenId: roles.padTokenId,
    encode: (text) => (text.length === 0 ? [] : inner.encode(text, { add_special_tokens: false }).ids),
    decode: (ids) =>
      ids.length === 0
        ? ''
        : inner.decode([...ids], { skip_special_tokens: false, clean_up_tokenization_spaces: false }),
    renderChat: createChatRenderer(roles.chatTemplate, {
      bos_token: textOf(roles.bosTokenId),
      eos_token: textOf(roles.eosTokenId),
      pad_token: textOf(roles.padTokenId),
    }),
  };
}

function construct(json: TokenizerJson): HuggingFaceTokenizer {
  try {
    return new HuggingFaceTokenizer(json, {});
  } catch (cause) {
    throw new WeftError('WEFT_MODEL_CORRUPT', 'the tokenizer cannot be built from its description', {}, { cause });
  }
}

function largestId({ model, added_tokens: added }: TokenizerJson): number {
  let largest = -1;
  for (const id of Object.values(model.vocab)) if (id > largest) largest = id;
  for (const { id } of added) if (id > largest) largest = id;
  return largest;
}

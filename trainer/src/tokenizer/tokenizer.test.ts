import { isWeftError } from '@weft/shared';
import { expect, test } from 'vitest';
import { byteAlphabet, toByteAlphabet } from './byte-alphabet.ts';
import { createTokenizer } from './byte-pair-tokenizer.ts';
import { tokenizerFromGguf } from './from-gguf.ts';
import { checkTokenizerJson, parseTokenizerJson } from './tokenizer-json.ts';
import type { Tokenizer } from './tokenizer.ts';

const letters = Object.fromEntries(byteAlphabet.map((letter, byte) => [letter, byte]));
const noRoles = { bosTokenId: undefined, eosTokenId: undefined, padTokenId: undefined, chatTemplate: undefined };

/** Bytes, and one token for each of `words` that merges make from its bytes. */
function tokenizerOf(
  change: Record<string, unknown> = {},
  words: readonly string[] = [],
  chatTemplate?: string,
): Tokenizer {
  const merges: string[] = [];
  const vocab: Record<string, number> = { ...letters };
  for (const word of words.map(toByteAlphabet)) {
    for (let end = 2; end <= word.length; end++) {
      merges.push(`${word.slice(0, end - 1)} ${word[end - 1]}`);
      vocab[word.slice(0, end)] ??= Object.keys(vocab).length;
    }
  }
  const json = {
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab, merges },
    ...change,
  };
  return createTokenizer(checkTokenizerJson(json), { ...noRoles, chatTemplate });
}

const refusal = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (isWeftError(error)) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
};

const pieces = (tokenizer: Tokenizer, text: string): string[] =>
  tokenizer.encode(text).map((id) => tokenizer.decode([id]));

test('the byte alphabet is GPT-2’s', () => {
  expect(new Set(byteAlphabet).size).toBe(256);
  expect([0, 0x20, 0x21, 0x7f, 0xa0, 0xad, 0xff].map((byte) => byteAlphabet[byte])).toEqual([
    'Ā',
    'Ġ',
    '!',
    'ġ',
    'ł',
    'Ń',
    'ÿ',
  ]);
});

test('merges join what they name, and never across words', () => {
  expect(pieces(tokenizerOf({}, ['the', ' cat']), 'the cat the')).toEqual(['the', ' cat', ' ', 'the']);
});

test('white space is what Unicode says, where JavaScript differs', () => {
  // U+0085 is white space, so it ends a word; U+FEFF is none, so it joins the punctuation before it
  expect(pieces(tokenizerOf({}, ['!\uFEFF']), '!\uFEFF')).toEqual(['!\uFEFF']);
  expect(tokenizerOf({}, ['!\u0085']).encode('!\u0085')).toHaveLength(3);
});

test('digits are cut off one by one in every script where a Digits step says so', () => {
  const steps = (individual: boolean): Record<string, unknown> => ({
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Digits', individual_digits: individual },
        { type: 'ByteLevel', add_prefix_space: false },
      ],
    },
  });
  expect(pieces(tokenizerOf(steps(true), ['12', '٣٤']), '12')).toEqual(['1', '2']);
  expect(tokenizerOf(steps(true), ['٣٤']).encode('٣٤')).not.toHaveLength(1);
  expect(tokenizerOf(steps(false), ['٣٤']).encode('٣٤')).toHaveLength(1);
});

test('special tokens are matched whole, the longest first', () => {
  const added = ['<|a|>', '<|a|>b'].map((content, i) => ({ id: 300 + i, content, special: true }));
  expect(tokenizerOf({ added_tokens: added }).encode('x<|a|>b<|a|>')).toEqual([120, 301, 300]);
});

test('empty text has no ids, and no ids are empty text', () => {
  const tokenizer = tokenizerOf();
  expect(tokenizer.encode('')).toEqual([]);
  expect(tokenizer.decode([])).toBe('');
});

test('decoding does not tidy up spaces', () => {
  const tokenizer = tokenizerOf();
  const text = " it 's , well . fine ! \uFEFF 🙂";
  expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
});

test('tokenizers of other kinds are refused by the name of what they use', () => {
  const model = { type: 'BPE', vocab: letters, merges: [] };
  const cases: [Record<string, unknown>, string][] = [
    [{ model: { type: 'Unigram', vocab: [] } }, 'tokenizer model Unigram'],
    [{ model: { type: { toString: 1 } } }, 'tokenizer model of no name'],
    [{ pre_tokenizer: { type: 'BertPreTokenizer' } }, 'tokenizer step BertPreTokenizer'],
    [
      { pre_tokenizer: { type: 'Split', pattern: { Regex: 'a' }, behavior: 'MergedWithNext' } },
      'tokenizer split behavior MergedWithNext',
    ],
    [{ pre_tokenizer: { type: 'Metaspace' } }, 'tokenizer step Metaspace with split'],
    [{ normalizer: { type: 'BertNormalizer' } }, 'tokenizer step BertNormalizer'],
    [{ added_tokens: [{ id: 1, content: 'a', single_word: true }] }, 'tokenizer single_word'],
    [{ model: { ...model, continuing_subword_prefix: '##' } }, 'tokenizer continuing_subword_prefix'],
  ];
  for (const [change, feature] of cases)
    expect(refusal(() => tokenizerOf(change))).toBe(`WEFT_MODEL_UNSUPPORTED the model uses ${feature}`);
});

test('malformed descriptions are refused', () => {
  const nest = (depth: number): object =>
    depth === 0 ? { type: 'ByteLevel' } : { type: 'Sequence', pretokenizers: [nest(depth - 1)] };
  expect(refusal(() => parseTokenizerJson('{'))).toBe('WEFT_MODEL_CORRUPT tokenizer.json is not JSON');
  expect(refusal(() => parseTokenizerJson('null'))).toContain('WEFT_MODEL_CORRUPT');
  expect(refusal(() => tokenizerOf({ model: { type: 'BPE', vocab: { a: -1 }, merges: [] } }))).toContain(
    'model.vocab: is no map from tokens to ids',
  );
  expect(refusal(() => tokenizerOf({ model: { type: 'BPE', vocab: letters, merges: ['a b c'] } }))).toContain(
    'model.merges: is no list of pairs',
  );
  expect(refusal(() => tokenizerOf({ model: { type: 'BPE', vocab: letters, merges: [], unk_token: '<unk>' } }))).toBe(
    'WEFT_MODEL_CORRUPT tokenizer.json: unk_token is not in the vocabulary',
  );
  expect(refusal(() => tokenizerOf({ pre_tokenizer: nest(12) }))).toBe(
    'WEFT_MODEL_LIMIT tokenizer.json: nesting is 9, the limit is 8',
  );
  const long = { type: 'Split', behavior: 'Isolated', pattern: { Regex: 'a'.repeat(5000) } };
  expect(refusal(() => tokenizerOf({ pre_tokenizer: long }))).toBe(
    'WEFT_MODEL_LIMIT tokenizer.json: patternLength is 5000, the limit is 4096',
  );
  expect(
    refusal(() => tokenizerOf({ pre_tokenizer: { type: 'Split', behavior: 'Isolated', pattern: { Regex: '(' } } })),
  ).toContain('WEFT_MODEL_CORRUPT the tokenizer cannot be built');
});

test('a vocabulary may hold names that mean something to JavaScript', () => {
  const json = JSON.stringify({
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
    model: { type: 'BPE', vocab: { ...letters, constructor: 256 }, merges: [] },
  }).replace('"constructor"', '"__proto__"');
  expect(createTokenizer(parseTokenizerJson(json), noRoles).vocabSize).toBe(257);
});

const metadata = new Map<string, string | number | string[] | number[]>([
  ['tokenizer.ggml.model', 'gpt2'],
  ['tokenizer.ggml.pre', 'smollm'],
  ['tokenizer.ggml.tokens', [...byteAlphabet, '<end>', '<think>', 'plain', '日本']],
  ['tokenizer.ggml.token_type', [...byteAlphabet.map(() => 1), 3, 4, 1, 3]],
  ['tokenizer.ggml.merges', []],
  ['tokenizer.ggml.eos_token_id', 256],
]);

test('from a GGUF, control, user-defined and end tokens are whole, others and mislabelled ones are not', () => {
  const tokenizer = tokenizerFromGguf(metadata);
  expect(tokenizer.encode('<end><think>')).toEqual([256, 257]);
  expect(tokenizer.encode('plain')).toHaveLength(5);
  expect(tokenizer.encode('日本')).toHaveLength(6);
  expect(tokenizer).toMatchObject({ eosTokenId: 256, endTokenIds: [256], bosTokenId: undefined });
  const turns = tokenizerFromGguf(new Map([...metadata, ['tokenizer.ggml.eot_token_id', 257]]));
  expect(turns).toMatchObject({ eosTokenId: 256, endTokenIds: [256, 257] });
});

test('a model without a chat template says so, and a failing template does not repeat the messages', () => {
  expect(refusal(() => tokenizerFromGguf(metadata).renderChat([]))).toBe(
    'WEFT_MODEL_NO_CHAT_TEMPLATE the model has no chat template',
  );
  const refusing = tokenizerOf({}, [], "{{ raise_exception('roles must alternate') }}");
  expect(refusal(() => refusing.renderChat([{ role: 'user', content: 'my secret' }]))).toBe(
    'WEFT_MODEL_CHAT_TEMPLATE_FAILED the chat template refuses a conversation of 1 messages: roles must alternate',
  );
  const quoting = tokenizerOf({}, [], "{{ raise_exception('no ' + messages[0]['content']) }}");
  const error = (() => {
    try {
      return quoting.renderChat([{ role: 'user', content: 'my secret' }]);
    } catch (caught) {
      return caught;
    }
  })();
  expect(isWeftError(error, 'WEFT_MODEL_CHAT_TEMPLATE_FAILED')).toBe(true);
  expect(JSON.stringify([(error as Error).message, (error as Error).cause ?? null, error])).not.toContain('secret');
});

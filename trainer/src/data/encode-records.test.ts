import { isWeftError } from '@weft/shared';
import { expect, test } from 'vitest';
import { createTokenizer } from '../tokenizer/byte-pair-tokenizer.ts';
import { byteAlphabet } from '../tokenizer/byte-alphabet.ts';
import { checkTokenizerJson } from '../tokenizer/tokenizer-json.ts';
import { batches } from './batches.ts';
import { encodeRecords } from './encode-records.ts';
import { splitHeldOut } from './hold-out.ts';
import { randomOrder } from './random-order.ts';
import { createRecord, type DataRecord, type RecordContent } from './record.ts';

/** One token a byte, then 256 for the end of a sequence. */
const template =
  "{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] + eos_token }}{% endfor %}{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}";
const bytes = createTokenizer(
  checkTokenizerJson({
    added_tokens: [{ id: 256, content: '<end>', special: true }],
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: Object.fromEntries(byteAlphabet.map((letter, byte) => [letter, byte])), merges: [] },
  }),
  { bosTokenId: undefined, eosTokenId: 256, padTokenId: undefined, chatTemplate: template },
);

const record = (content: RecordContent, line = 1): DataRecord => createRecord(content, { file: 'memory.jsonl', line });
const text = (content: string): DataRecord => record({ kind: 'text', text: content });
const ids = (inputIds: number[], labels?: number[]): DataRecord =>
  record({ kind: 'ids', inputIds: Int32Array.from(inputIds), labels: labels && Int32Array.from(labels) }, 7);

const code = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (isWeftError(error)) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
};

test('texts are joined with end tokens and cut into rows, the rest is a shorter row', () => {
  const { examples, report } = encodeRecords([text('abc'), text('defg')], bytes, { sequenceLength: 4 });
  expect(examples.map(({ inputIds }) => [...inputIds])).toEqual([
    [97, 98, 99, 256],
    [100, 101, 102, 103],
  ]);
  expect(examples[0]?.labels).toEqual(examples[0]?.inputIds);
  // the ninth token, an end by itself, predicts nothing
  expect(report).toEqual({
    records: 2,
    examples: 2,
    tokens: 8,
    countedTokens: 6,
    truncated: 0,
    cutTokens: 0,
    dropped: 0,
    lengths: { min: 4, median: 4, p95: 4, max: 4 },
  });
});

test('a prompt does not count, its completion and the end do', () => {
  const { examples, report } = encodeRecords(
    [record({ kind: 'promptCompletion', prompt: 'ab', completion: 'c' })],
    bytes,
    { sequenceLength: 8 },
  );
  expect(examples).toEqual([{ inputIds: Int32Array.of(97, 98, 99, 256), labels: Int32Array.of(-100, -100, 99, 256) }]);
  expect(report.countedTokens).toBe(2);
});

test('of a conversation only the turns of the assistant count, each with its end mark', () => {
  const messages = [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
    { role: 'user', content: 'c' },
    { role: 'assistant', content: 'd' },
    { role: 'user', content: 'unanswered' },
  ];
  const { examples } = encodeRecords([record({ kind: 'messages', messages })], bytes, { sequenceLength: 128 });
  const [example] = examples;
  expect(bytes.decode([...(example?.inputIds ?? [])])).toBe(
    '<user>a<end><assistant>b<end><user>c<end><assistant>d<end>',
  );
  const counted = [...(example?.labels ?? [])].filter((label) => label !== -100);
  expect(bytes.decode(counted)).toBe('b<end>d<end>');
});

test('ids are taken as they are, cut at the sequence length and counted', () => {
  const { examples, report } = encodeRecords([ids([1, 2, 3, 4, 5], [-100, 2, 3, 4, 5]), ids([9])], bytes, {
    sequenceLength: 3,
  });
  expect(examples).toEqual([
    { inputIds: Int32Array.of(1, 2, 3), labels: Int32Array.of(-100, 2, 3) },
    { inputIds: Int32Array.of(9), labels: Int32Array.of(9) },
  ]);
  expect(report).toEqual({
    records: 2,
    examples: 2,
    tokens: 4,
    countedTokens: 2,
    truncated: 1,
    cutTokens: 2,
    dropped: 0,
    lengths: { min: 1, median: 1, p95: 5, max: 5 },
  });
});

test('an id or a label outside the vocabulary is refused by line', () => {
  const refusal = 'WEFT_DATA_ID_OUT_OF_RANGE line 7 has an id outside the vocabulary of 257';
  expect(code(() => encodeRecords([ids([1, 257])], bytes, { sequenceLength: 4 }))).toBe(refusal);
  expect(code(() => encodeRecords([ids([1, 2], [1, 257])], bytes, { sequenceLength: 4 }))).toBe(refusal);
  expect(code(() => encodeRecords([ids([1, 257])], bytes, { sequenceLength: 4, vocabSize: 300 }))).toBe('accepted');
});

test('text shorter than one sequence is refused for training and kept for evaluation', () => {
  const records = [text('ab')];
  expect(code(() => encodeRecords(records, bytes, { sequenceLength: 4 }))).toBe(
    'WEFT_DATA_TOO_SHORT the text has 3 tokens, one sequence has 4',
  );
  expect(encodeRecords(records, bytes, { sequenceLength: 4, shortText: 'keep' }).examples).toHaveLength(1);
});

test('a row whose counted part lies behind the cut is left out and reported', () => {
  const { examples, report } = encodeRecords(
    [record({ kind: 'promptCompletion', prompt: 'abcdef', completion: 'x' })],
    bytes,
    { sequenceLength: 4 },
  );
  expect(examples).toEqual([]);
  expect(report).toMatchObject({ dropped: 1, truncated: 0 });
});

test('a template that rewrites earlier turns is refused with the line', () => {
  const fickle = createTokenizer(checkTokenizerJson({ model: { type: 'BPE', vocab: { a: 0 }, merges: [] } }), {
    bosTokenId: undefined,
    eosTokenId: undefined,
    padTokenId: undefined,
    chatTemplate: '{{ messages | length }}',
  });
  const conversation = record(
    {
      kind: 'messages',
      messages: [
        { role: 'user', content: 'private' },
        { role: 'assistant', content: 'b' },
      ],
    },
    3,
  );
  expect(code(() => encodeRecords([conversation], fickle, { sequenceLength: 4 }))).toBe(
    'WEFT_MODEL_CHAT_TEMPLATE_FAILED line 3: the chat template rewrites earlier turns in a conversation of 2 messages',
  );
});

test('the held-out share is near what was asked, stable, and blind to order and company', () => {
  const records = Array.from({ length: 2000 }, (_, i) => text(`record ${i}`));
  const { training, heldOut } = splitHeldOut(records, 0.1);
  expect(training.length + heldOut.length).toBe(2000);
  expect(heldOut.length).toBeGreaterThan(150);
  expect(heldOut.length).toBeLessThan(250);
  const half = splitHeldOut(records.slice(1000).toReversed(), 0.1);
  expect(new Set(half.heldOut.map(({ id }) => id))).toEqual(
    new Set(heldOut.filter((r) => records.indexOf(r) >= 1000).map(({ id }) => id)),
  );
});

const rows = (count: number): { inputIds: Int32Array; labels: Int32Array }[] =>
  Array.from({ length: count }, (_, i) => ({ inputIds: Int32Array.of(i, i), labels: Int32Array.of(i, i) }));
const firstIds = (iterator: Iterator<{ inputIds: Int32Array }[]>, count: number): number[][] =>
  Array.from({ length: count }, () =>
    iterator.next().value.map(({ inputIds }: { inputIds: Int32Array }) => inputIds[0]),
  );

test('without shuffling a batch is the next rows in order, round and round', () => {
  expect(firstIds(batches(rows(5), { batchSize: 2, seed: 0, shuffle: false }), 4)).toEqual([
    [0, 1],
    [2, 3],
    [4, 0],
    [1, 2],
  ]);
});

test('with shuffling each epoch holds every row once, in an order that only the seed decides', () => {
  const draw = (seed: number): number[][] => firstIds(batches(rows(6), { batchSize: 3, seed, shuffle: true }), 4);
  const [a, b, c, d] = draw(1);
  expect([...(a ?? []), ...(b ?? [])].toSorted((x, y) => x - y)).toEqual([0, 1, 2, 3, 4, 5]);
  expect([...(c ?? []), ...(d ?? [])].toSorted((x, y) => x - y)).toEqual([0, 1, 2, 3, 4, 5]);
  expect([a, b]).not.toEqual([c, d]);
  expect(draw(1)).toEqual([a, b, c, d]);
  expect(draw(2)).not.toEqual([a, b, c, d]);
});

test('a random order is the same on every machine and near uniform', () => {
  expect(randomOrder(8, 'golden')).toEqual([7, 3, 4, 5, 2, 1, 6, 0]);
  const firsts = Array.from({ length: 3000 }, (_, seed) => randomOrder(3, seed)[0]);
  for (const value of [0, 1, 2]) expect(firsts.filter((first) => first === value).length).toBeGreaterThan(900);
});

test('no rows and an empty batch are errors', () => {
  expect(code(() => batches([], { batchSize: 1, seed: 0, shuffle: false }).next())).toBe(
    'WEFT_DATA_EMPTY there is no row to train on',
  );
  expect(code(() => batches(rows(1), { batchSize: 0, seed: 0, shuffle: false }).next())).toContain('WEFT_USAGE');
});

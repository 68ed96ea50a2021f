import { Tokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toByteAlphabet } from '../tokenizer/byte-alphabet.ts';
import { toTokenizerJson } from './tokenizer-json.ts';
import { trainBpe, type Bpe } from './train-bpe.ts';

const endOfText = '<|endoftext|>';
const specialTokens = [endOfText];
const scripts = [
  'The quick brown fox, 1234567890 — it’s 50% off!',
  'Příliš žluťoučký kůň úpěl ďábelské ódy.',
  'Съешь ещё этих мягких французских булок.',
  '모듈을 찾을 수 없습니다.',
  '関数を ES2015 クラスに変換します',
  '将函数转换为 ES2015 类',
  'لا يمكن العثور على الوحدة',
  'לא ניתן למצוא את המודול',
  'मॉड्यूल नहीं मिला',
  'ไม่พบโมดูล',
  'Το άρθρωμα δεν βρέθηκε',
  'if (x !== y) {\n\treturn `${z}`;\r\n}  // 🦊👩‍👩‍👧‍👦 \u0000\u007f\u00ad',
];

const tokenizerOf = (bpe: Bpe) => new Tokenizer(toTokenizerJson(bpe, specialTokens), {});

/** Encoding as the paper words it: every merge, in the order of learning, wherever it applies. */
function encodeByTheBook(word: string, { tokens, merges }: Bpe): number[] {
  let pieces = [...toByteAlphabet(word)];
  for (const [left, right] of merges) {
    const next: string[] = [];
    for (let i = 0; i < pieces.length; i++) {
      if (pieces[i] === left && pieces[i + 1] === right) next.push(left + (pieces[++i] as string));
      else next.push(pieces[i] as string);
    }
    pieces = next;
  }
  return pieces.map((piece) => tokens.indexOf(piece));
}

test('the most frequent pair is merged first, and of two equals the one with the smaller ids', () => {
  // the worked example of Sennrich et al. 2016, section 3.2, without its end-of-word mark
  const words = [
    ...Array<string>(5).fill('low'),
    ...Array<string>(2).fill('lower'),
    ...Array<string>(6).fill('newest'),
    ...Array<string>(3).fill('widest'),
  ];
  const { merges, tokens } = trainBpe(words, { vocabSize: 257 + 4, specialTokens });
  expect(merges).toEqual([
    ['e', 's'],
    ['es', 't'],
    ['l', 'o'],
    ['lo', 'w'],
  ]);
  expect(tokens.slice(-4)).toEqual(['es', 'est', 'lo', 'low']);
  expect(tokens[0]).toBe(endOfText);
});

test('counts stay right when a merge overlaps itself', () => {
  const { merges } = trainBpe(['aaaaa aaaa', 'aaaa'], { vocabSize: 257 + 2, specialTokens, minimumCount: 1 });
  expect(merges).toEqual([
    ['a', 'a'],
    ['aa', 'aa'],
  ]);
});

test('training stops when no pair is left that occurs often enough', () => {
  expect(trainBpe(['abc'], { vocabSize: 1000, specialTokens }).merges).toEqual([]);
});

test('the same texts give the same merges, in whatever order they come', () => {
  const options = { vocabSize: 400, specialTokens };
  expect(trainBpe(scripts.toReversed(), options)).toEqual(trainBpe(scripts, options));
});

test('a vocabulary too small for the bytes is refused', () => {
  expect(() => trainBpe(scripts, { vocabSize: 256, specialTokens })).toThrow('vocabulary of 256');
});

test('every text comes back from its ids, in scripts of the training text and others', () => {
  const tokenizer = tokenizerOf(trainBpe(scripts.slice(0, 6), { vocabSize: 400, specialTokens }));
  for (const text of scripts)
    expect(tokenizer.decode(tokenizer.encode(text).ids, { clean_up_tokenization_spaces: false })).toBe(text);
});

test('the tokenizer.json gives the ids that the merges give', () => {
  const bpe = trainBpe(scripts, { vocabSize: 450, specialTokens });
  const tokenizer = tokenizerOf(bpe);
  fc.assert(
    fc.property(fc.stringMatching(/^\p{L}{1,12}$/u), (word) => {
      expect(tokenizer.encode(word).ids).toEqual(encodeByTheBook(word, bpe));
    }),
  );
});

test('the special token has one id and is not made of merges', () => {
  const tokenizer = tokenizerOf(trainBpe(scripts, { vocabSize: 400, specialTokens }));
  expect(tokenizer.encode(`a${endOfText}b`).ids).toHaveLength(3);
  expect(tokenizer.encode(endOfText).ids).toEqual([0]);
});

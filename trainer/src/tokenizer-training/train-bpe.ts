import { byteAlphabet, toByteAlphabet } from '../tokenizer/byte-alphabet.ts';

export interface BpeOptions {
  /** Tokens in all: special tokens, 256 bytes, and as many merges as then fit. */
  readonly vocabSize: number;
  /** Take the first ids and are never made of merges. */
  readonly specialTokens: readonly string[];
  /** A pair that occurs less often is not merged, even if the vocabulary stays smaller. */
  readonly minimumCount?: number;
}

export interface Bpe {
  /** Tokens by id. */
  readonly tokens: readonly string[];
  /** In the order of learning, which is their rank in encoding. */
  readonly merges: readonly (readonly [string, string])[];
}

/** GPT-2's split into words (Hugging Face's `ByteLevel` with `use_regex`): no merge crosses these borders. */
const words = /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** The bytes by code point of their letters, the order that Hugging Face's trainer gives them. */
const firstTokens = byteAlphabet.toSorted((a, b) => (a < b ? -1 : 1));

interface Word {
  ids: number[];
  readonly count: number;
}

interface Pair {
  readonly left: number;
  readonly right: number;
  count: number;
  /** Words that hold the pair, or held it once. */
  readonly words: Set<Word>;
}

/**
 * Byte pair encoding (Sennrich et al. 2016, algorithm 1) over bytes: the most frequent neighbouring pair becomes a token,
 * again and again. Of two equally frequent pairs the one with the smaller ids wins, so the same texts always give the
 * same merges. Counts are kept up to date per merge instead of being taken anew.
 */
export function trainBpe(texts: Iterable<string>, { vocabSize, specialTokens, minimumCount = 2 }: BpeOptions): Bpe {
  const tokens = [...specialTokens, ...firstTokens];
  if (vocabSize < tokens.length)
    throw new RangeError(
      `a vocabulary of ${vocabSize} cannot hold ${specialTokens.length} special tokens and 256 bytes`,
    );
  const merges: (readonly [string, string])[] = [];
  const pairs = countPairs(countWords(texts, new Map(tokens.map((token, id) => [token, id]))));

  while (tokens.length < vocabSize) {
    const best = mostFrequent(pairs.values());
    if (best === undefined || best.count < minimumCount) break;
    const left = tokens[best.left] as string;
    const right = tokens[best.right] as string;
    merges.push([left, right]);
    tokens.push(left + right);
    mergePair(best, tokens.length - 1, pairs);
  }
  return { tokens, merges };
}

function countWords(texts: Iterable<string>, ids: ReadonlyMap<string, number>): Word[] {
  const counts = new Map<string, number>();
  for (const text of texts) for (const [word] of text.matchAll(words)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return Array.from(counts, ([word, count]) => ({
    ids: Array.from(toByteAlphabet(word), (letter) => ids.get(letter) as number),
    count,
  }));
}

/** Ids stay far below 2^26, so that a pair fits a safe integer. */
const pairKey = (left: number, right: number): number => left * 2 ** 26 + right;

function countPairs(all: readonly Word[]): Map<number, Pair> {
  const pairs = new Map<number, Pair>();
  for (const word of all) addPairs(word, 1, pairs);
  return pairs;
}

/** Adds (sign 1) or takes away (sign -1) what one word contributes to the counts. */
function addPairs(word: Word, sign: 1 | -1, pairs: Map<number, Pair>): void {
  for (let i = 0; i + 1 < word.ids.length; i++) {
    const left = word.ids[i] as number;
    const right = word.ids[i + 1] as number;
    const key = pairKey(left, right);
    let pair = pairs.get(key);
    if (pair === undefined) pairs.set(key, (pair = { left, right, count: 0, words: new Set() }));
    pair.count += sign * word.count;
    if (sign > 0) pair.words.add(word);
    if (pair.count === 0) pairs.delete(key);
  }
}

function mostFrequent(pairs: Iterable<Pair>): Pair | undefined {
  let best: Pair | undefined;
  for (const pair of pairs) {
    if (best === undefined || pair.count > best.count || (pair.count === best.count && comesBefore(pair, best)))
      best = pair;
  }
  return best;
}

const comesBefore = (a: Pair, b: Pair): boolean => a.left < b.left || (a.left === b.left && a.right < b.right);

function mergePair({ left, right, words: holders }: Pair, merged: number, pairs: Map<number, Pair>): void {
  // a copy: addPairs changes the set
  for (const word of Array.from(holders)) {
    addPairs(word, -1, pairs);
    const ids: number[] = [];
    for (let i = 0; i < word.ids.length; i++) {
      const isPair = word.ids[i] === left && word.ids[i + 1] === right;
      ids.push(isPair ? merged : (word.ids[i] as number));
      if (isPair) i++;
    }
    word.ids = ids;
    addPairs(word, 1, pairs);
  }
}

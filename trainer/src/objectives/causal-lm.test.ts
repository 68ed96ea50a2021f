import { describe, expect, it } from 'vitest';
import { encodeBatch } from './causal-lm.ts';
import { bucketFor, sequenceBuckets } from './sequence-buckets.ts';

const row = (inputIds: number[], labels: number[]) => ({
  inputIds: Int32Array.from(inputIds),
  labels: Int32Array.from(labels),
});
const settings = { batchSize: 3, sequenceLength: 4, vocabSize: 10, reduction: 'mean' } as const;

describe('a batch', () => {
  it('pads rows on the right and lets position t predict labels[t+1]', () => {
    const batch = encodeBatch([row([5, 6, 7], [5, 6, 7]), row([1, 2, 3, 4], [-100, -100, 3, 4])], settings);
    expect([...batch.inputIds]).toEqual([5, 6, 7, 0, 1, 2, 3, 4, 0, 0, 0, 0]);
    expect([...batch.targets]).toEqual([6, 7, 0, 0, 0, 3, 4, 0, 0, 0, 0, 0]);
    expect([...batch.rowWeights]).toEqual([0.25, 0.25, 0, 0, 0, 0.25, 0.25, 0, 0, 0, 0, 0]);
    expect(batch).toMatchObject({ countedTokens: 4, realTokens: 7 });
  });

  it('counts every token once for a sum', () => {
    const batch = encodeBatch([row([5, 6, 7], [5, 6, -100])], { ...settings, reduction: 'sum' });
    expect([...batch.rowWeights.subarray(0, 4)]).toEqual([1, 0, 0, 0]);
  });

  it('counts nothing where only a first token is labelled', () => {
    expect(encodeBatch([row([5, 6], [5, -100])], settings).countedTokens).toBe(0);
  });

  it.each([
    ['a token beyond the vocabulary', row([10], [0])],
    ['a label beyond the vocabulary', row([1, 2], [1, 10])],
    ['a negative label other than -100', row([1, 2], [1, -1])],
    ['fewer labels than tokens', row([1, 2], [1])],
    ['more tokens than the sequence length', row([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])],
  ])('is refused with %s', (_, example) => {
    expect(() => encodeBatch([example], settings)).toThrow(
      expect.objectContaining({ code: 'WEFT_TRAINING_BAD_EXAMPLE' }),
    );
  });
});

describe('sequence buckets', () => {
  it('are at most four, the last one the sequence length itself', () => {
    expect(sequenceBuckets(128)).toEqual([32, 64, 96, 128]);
    expect(sequenceBuckets(100)).toEqual([32, 64, 96, 100]);
    expect(sequenceBuckets(20)).toEqual([20]);
    expect(sequenceBuckets(1)).toEqual([1]);
  });

  it('give a batch the shortest length that holds it', () => {
    expect([1, 32, 33, 127, 128].map((length) => bucketFor(length, 128))).toEqual([32, 32, 64, 128, 128]);
  });
});

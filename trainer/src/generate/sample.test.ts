import { createSeededRandom } from '@weft/shared';
import { describe, expect, it } from 'vitest';
import { sample } from './sample.ts';

const probabilities = [0.05, 0.5, 0.2, 0.25];
const logits = Float32Array.from(probabilities, (p) => Math.log(p) + 3);

/** How often each token comes in 4000 draws. */
const shares = (temperature: number, topP: number): number[] => {
  const random = createSeededRandom('sample');
  const counts = [0, 0, 0, 0];
  for (let draw = 0; draw < 4000; draw++) {
    const id = sample(logits, { temperature, topP }, random);
    counts[id] = (counts[id] ?? 0) + 1 / 4000;
  }
  return counts;
};
const expectShares = (is: readonly number[], expected: readonly number[]): void => {
  for (const [id, share] of expected.entries()) {
    if (share === 0) expect(is[id]).toBe(0);
    else expect(Math.abs((is[id] ?? 0) - share)).toBeLessThan(0.03);
  }
};

describe('sampling', () => {
  it('takes the first likeliest token at temperature 0 and draws nothing', () => {
    const random = createSeededRandom('untouched');
    expect(sample(Float32Array.of(1, 4, 4, 2), { temperature: 0, topP: 1 }, random)).toBe(1);
    expect(random.uint32()).toBe(createSeededRandom('untouched').uint32());
  });

  it('draws from the distribution of the model at temperature 1', () => {
    expectShares(shares(1, 1), probabilities);
  });

  it('divides the logits by the temperature', () => {
    const sharpened = probabilities.map((p) => p ** 2);
    const total = sharpened.reduce((sum, p) => sum + p);
    expectShares(
      shares(0.5, 1),
      sharpened.map((p) => p / total),
    );
  });

  it('keeps the fewest likeliest tokens that reach top-p together', () => {
    expectShares(shares(1, 0.6), [0, 2 / 3, 0, 1 / 3]);
    expectShares(shares(1, 0.4), [0, 1, 0, 0]);
  });

  it('survives logits of any size', () => {
    expect(sample(Float32Array.of(-3e38, 3e38), { temperature: 1e-3, topP: 0.9 }, createSeededRandom('far'))).toBe(1);
  });
});

import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addMask, packWords, reduceWords, ringWords, unpackWords } from './mask.ts';

const seed = new Uint8Array(32).fill(9);

describe('masks', () => {
  it('cancel to the bit in every ring, past one piece of the generator', () => {
    for (const bits of [8, 11, 16, 17, 31, 32]) {
      const words = ringWords(bits, 70_001);
      words[3] = 5;
      addMask(words, seed, 1);
      reduceWords(words, bits);
      expect(words[3]).not.toBe(5);
      addMask(words, seed, -1);
      reduceWords(words, bits);
      expect(words[3]).toBe(5);
      expect(Array.from(words).reduce((sum, word) => sum + word, 0)).toBe(5);
    }
  });

  it('are AES-256-CTR from zero, in little-endian words', () => {
    const stream = createCipheriv('aes-256-ctr', seed, Buffer.alloc(16)).update(Buffer.alloc(300_000));
    const words = ringWords(32, 75_000);
    addMask(words, seed, 1);
    for (const at of [0, 1, 16_383, 16_384, 74_999]) expect(words[at]).toBe(stream.readUInt32LE(4 * at));
    const halves = ringWords(12, 100);
    addMask(halves, seed, 1);
    reduceWords(halves, 12);
    expect(halves[7]).toBe(stream.readUInt16LE(14) % 4096);
  });

  it('are added word by word, in every width, to vectors of any length and beginning', () => {
    const stream = createCipheriv('aes-256-ctr', seed, Buffer.alloc(16)).update(Buffer.alloc(300_000));
    for (const [bits, width] of [
      [8, 1],
      [16, 2],
      [32, 4],
    ] as const) {
      for (const [length, offset] of [
        [1, 0],
        [7, 0],
        [7, 1],
        [65_537, 0],
        [65_538, 3],
      ] as const) {
        for (const sign of [1, -1] as const) {
          const words = ringWords(bits, length + offset).subarray(offset);
          for (let i = 0; i < length; i++) words[i] = 0x9e37_79b9 * (i + 1);
          const expected = Array.from(words, (word, i) => {
            const mask = stream.readUIntLE(i * width, width);
            return (((word + sign * mask) % 2 ** bits) + 2 ** bits) % 2 ** bits;
          });
          addMask(words, seed, sign);
          expect(Array.from(words)).toEqual(expected);
        }
      }
    }
  });

  it('pack without gaps and come back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 8, max: 32 }), fc.array(fc.nat(), { maxLength: 50 }), (bits, values) => {
        const words = ringWords(bits, values.length);
        values.forEach((value, i) => (words[i] = value));
        reduceWords(words, bits);
        const packed = packWords(words, bits);
        expect(packed).toHaveLength(Math.ceil((values.length * bits) / 8));
        expect(unpackWords(packed, values.length, bits)).toEqual(words);
      }),
    );
  });

  it('refuse a wrong length and bits behind the end', () => {
    const packed = packWords(ringWords(11, 3), 11);
    expect(unpackWords(packed, 4, 11)).toBeUndefined();
    packed[4]! |= 0x80;
    expect(unpackWords(packed, 3, 11)).toBeUndefined();
  });
});

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

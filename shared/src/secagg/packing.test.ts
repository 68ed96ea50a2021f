import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type RingWords, reduceWords, ringWords } from './mask.ts';
import { packedBytes, packWords, strayBits, unpackWords, WordUnpacker } from './packing.ts';

const vectors = fc.tuple(fc.integer({ min: 8, max: 32 }), fc.array(fc.nat({ max: 2 ** 32 - 1 }), { maxLength: 50 }));
const wordsOf = (bits: number, values: readonly number[]): RingWords => {
  const words = ringWords(bits, values.length);
  values.forEach((value, i) => (words[i] = value));
  reduceWords(words, bits);
  return words;
};

describe('packed ring words', () => {
  it('lie without gaps and come back', () => {
    fc.assert(
      fc.property(vectors, ([bits, values]) => {
        const words = wordsOf(bits, values);
        const packed = packWords(words, bits);
        expect(packed).toHaveLength(Math.ceil((values.length * bits) / 8));
        expect(unpackWords(packed, values.length, bits)).toEqual(words);
      }),
    );
  });

  it('are bit k of word w at bit w·b + k of the stream', () => {
    fc.assert(
      fc.property(vectors, ([bits, values]) => {
        const words = wordsOf(bits, values);
        const packed = packWords(words, bits);
        const stream = Array.from(words).reduce((all, word, w) => all | (BigInt(word) << BigInt(w * bits)), 0n);
        const read = packed.reduce((all, byte, at) => all | (BigInt(byte) << BigInt(8 * at)), 0n);
        expect(read).toBe(stream);
      }),
    );
  });

  it('come back from pieces that are cut anywhere', () => {
    fc.assert(
      fc.property(vectors, fc.array(fc.nat({ max: 9 }), { maxLength: 60 }), ([bits, values], cuts) => {
        const words = wordsOf(bits, values);
        const packed = packWords(words, bits);
        const unpacker = new WordUnpacker(bits, words.length);
        const read: number[] = [];
        let at = 0;
        for (const size of [...cuts, packed.length]) {
          read.push(...unpacker.read(packed.subarray(at, at + size)));
          at += size;
        }
        unpacker.end();
        expect(read).toEqual(Array.from(words));
      }),
    );
  });

  it('of another length, or with bits behind the last one, are refused whole and in pieces', () => {
    fc.assert(
      fc.property(vectors, fc.nat(), ([bits, values], dice) => {
        const words = wordsOf(bits, values);
        const packed = packWords(words, bits);
        expect(unpackWords(packed, words.length + 1, bits)).toBeUndefined();
        expect(unpackWords(Buffer.concat([packed, Buffer.alloc(1)]), words.length, bits)).toBeUndefined();
        const longer = new WordUnpacker(bits, words.length);
        expect(() => {
          longer.read(packed);
          longer.read(Uint8Array.of(0));
        }).toThrow('goes on behind');
        const short = new WordUnpacker(bits, words.length + 1);
        short.read(packed);
        expect(() => short.end()).toThrow(`at word ${words.length} of ${words.length + 1}`);
        const spare = 8 * packed.length - words.length * bits;
        if (spare === 0) return;
        expect(strayBits(packed.at(-1)!, words.length, bits)).toBe(0);
        packed[packed.length - 1]! |= 0x80 >>> (dice % spare);
        expect(strayBits(packed.at(-1)!, words.length, bits)).not.toBe(0);
        expect(unpackWords(packed, words.length, bits)).toBeUndefined();
      }),
    );
  });

  it('read any bytes as words below 2ᵇ, or refuse them', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 8, max: 32 }),
        fc.nat({ max: 40 }),
        fc.uint8Array({ maxLength: 200 }),
        (bits, length, bytes) => {
          const words = unpackWords(bytes, length, bits);
          if (words === undefined) return;
          expect(bytes).toHaveLength(packedBytes(length, bits));
          expect(words.every((word) => word < 2 ** bits)).toBe(true);
          expect(packWords(words, bits)).toEqual(bytes);
        },
      ),
    );
  });
});

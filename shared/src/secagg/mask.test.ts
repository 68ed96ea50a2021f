import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addMask, addMasks, reduceWords, ringWords, type RingWords } from './mask.ts';

const seed = new Uint8Array(32).fill(9);
const bytesOf = ({ buffer, byteOffset, byteLength }: RingWords) => new Uint8Array(buffer, byteOffset, byteLength);

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

  it('are the same bits many at once as one by one, in any order and with any signs', () => {
    const term = fc.record({
      seed: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      sign: fc.constantFrom(1 as const, -1 as const),
    });
    // A block of bytes of each width and a little more or less, begun anywhere.
    const around = fc.tuple(fc.constantFrom(0, 131_072), fc.integer({ min: -9, max: 9 }));
    fc.assert(
      fc.property(
        fc.constantFrom(8, 16, 32),
        around,
        fc.integer({ min: 0, max: 5 }),
        fc.array(term, { maxLength: 9 }),
        (bits, [bytes, more], offset, terms) => {
          const empty = ringWords(bits, 0);
          const length = Math.max(0, Math.ceil(bytes / empty.BYTES_PER_ELEMENT) + more);
          const begin = (): RingWords => {
            const words = ringWords(bits, length + offset).subarray(offset);
            for (let i = 0; i < length; i++) words[i] = Math.imul(0x9e37_79b9, i + 1);
            return words;
          };
          const [together, alone] = [begin(), begin()];
          addMasks(together, terms);
          for (const { seed: own, sign } of terms.toReversed()) {
            const stream = createCipheriv('aes-256-ctr', own, Buffer.alloc(16)).update(Buffer.alloc(alone.byteLength));
            const width = alone.BYTES_PER_ELEMENT;
            for (let i = 0; i < length; i++) alone[i] = alone[i]! + sign * stream.readUIntLE(i * width, width);
          }
          expect(Buffer.compare(bytesOf(together), bytesOf(alone))).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });
});

import {
  createSeededRandom,
  longestUpdate,
  parseRunSpec,
  payloadOf,
  quantizeUpdate,
  updateEncoding,
  type UpdateEncoding,
} from '@weft/shared';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createUploadCheck } from './payload.ts';

const encodingOf = (mode: 'plain' | 'secure', quantizationBits: number, values = 5): UpdateEncoding =>
  updateEncoding(
    parseRunSpec({
      name: 'payloads',
      baseModel: { name: 'tiny', sha256: 'a'.repeat(64) },
      training: { steps: 1 },
      cohort: { minimum: 5, maximum: 9 },
      aggregation: { mode, quantizationBits },
      rounds: 1,
    }),
    values,
  );
const payload = (encoding: UpdateEncoding, coordinates: Int32Array, weight: number): Uint8Array =>
  payloadOf(encoding, { coordinates, normL2: 1, clipped: false, saturatedValues: 0 }, { weight });
const plainCheck = (encoding: UpdateEncoding, weight: number) =>
  createUploadCheck({ masked: false, encoding, weight }).take;
const inPieces = (check: (piece: Uint8Array) => void, bytes: Uint8Array, sizeBytes: number): void => {
  for (let at = 0; at < bytes.length; at += sizeBytes) check(bytes.subarray(at, at + sizeBytes));
};
const pieces = fc.integer({ min: 1, max: 7 });
const weights = fc.integer({ min: 1, max: 10_000 });

describe('the words of an update that travels plain', () => {
  test.each([4, 8, 12, 16])('of %i bits pass, cut anywhere, and none beyond ±Q does', (quantizationBits) => {
    const encoding = encodingOf('plain', quantizationBits);
    const { coordinateCap, dim } = encoding.grid;
    fc.assert(
      fc.property(pieces, fc.nat({ max: dim - 1 }), fc.boolean(), (sizeBytes, at, isAbove) => {
        const weight = encoding.offered.weightCap;
        const coordinates = new Int32Array(dim);
        coordinates[at] = isAbove ? coordinateCap : -coordinateCap;
        inPieces(plainCheck(encoding, weight), payload(encoding, coordinates, weight), sizeBytes);
        coordinates[at] += isAbove ? 1 : -1;
        expect(() => inPieces(plainCheck(encoding, weight), payload(encoding, coordinates, weight), sizeBytes)).toThrow(
          `coordinate ${at} is ${coordinates[at]}, the ring takes ±${coordinateCap}`,
        );
      }),
      { numRuns: 20 },
    );
  });

  test.each([4, 16])('of %i bits pass when they were clipped, and none longer than its weight allows does', (bits) => {
    const encoding = encodingOf('plain', bits, 40);
    const { offered, grid } = encoding;
    fc.assert(
      fc.property(
        pieces,
        weights,
        fc.integer(),
        fc.double({ min: 1e-3, max: 1e3, noNaN: true }),
        (sizeBytes, weight, seed, size) => {
          const random = createSeededRandom(`norm ${seed}`);
          const delta = Float32Array.from({ length: grid.values }, () => size * (random.uniform() - 0.5));
          const { coordinates } = quantizeUpdate(delta, grid, { ...offered, weight, rotationSeed: 'norm', random })!;
          inPieces(plainCheck(encoding, weight), payload(encoding, coordinates, weight), sizeBytes);
          // Longer by half than what its weight allows, and each coordinate within the ring.
          const length = 1.5 * longestUpdate(encoding, weight);
          const even = new Int32Array(grid.dim).fill(Math.ceil(length / Math.sqrt(grid.dim)));
          if (even[0]! > grid.coordinateCap) return;
          expect(() => inPieces(plainCheck(encoding, weight), payload(encoding, even, weight), sizeBytes)).toThrow(
            expect.objectContaining({ code: 'WEFT_UPDATE_WRONG_NORM' }),
          );
        },
      ),
    );
  });

  test('carry the signed weight and no other, in each of its limbs', () => {
    const encoding = encodingOf('plain', 4);
    expect(encoding.form.limbs).toBeGreaterThan(2);
    fc.assert(
      fc.property(pieces, weights, weights, (sizeBytes, weight, other) => {
        const bytes = payload(encoding, new Int32Array(encoding.grid.dim), other);
        const check = (): void => inPieces(plainCheck(encoding, weight), bytes, sizeBytes);
        if (weight === other) expect(check).not.toThrow();
        else expect(check).toThrow(`of the signed weight ${weight}`);
      }),
      { numRuns: 30 },
    );
  });
});

test('bits behind the last word of a masked vector are refused by name, whatever the pieces', () => {
  const encoding = encodingOf('secure', 16, 6);
  const { words, bits } = encoding.offered;
  const spare = 8 * encoding.payloadBytes - words * bits;
  expect(spare).toBeGreaterThan(0);
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: encoding.payloadBytes, maxLength: encoding.payloadBytes }),
      fc.integer({ min: 1, max: encoding.payloadBytes }),
      (bytes, sizeBytes) => {
        const last = bytes.length - 1;
        const stray = bytes[last]! >>> (8 - spare);
        const check = (): void =>
          inPieces(createUploadCheck({ masked: true, encoding, weight: 0 }).take, bytes, sizeBytes);
        if (stray === 0) expect(check).not.toThrow();
        else
          expect(check).toThrow(
            expect.objectContaining({
              code: 'WEFT_UPDATE_WRONG_RING',
              message: expect.stringContaining(`stands ${stray},`) as string,
            }),
          );
        bytes[last]! &= 0xff >>> spare;
        expect(check).not.toThrow();
      },
    ),
  );
});

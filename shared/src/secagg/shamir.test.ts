import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { combineShares, splitSecret, weightsAtZero } from './shamir.ts';

const split = (secret: Uint8Array, threshold: number, shares: number): Uint8Array[] =>
  splitSecret(secret, { threshold, shares, coefficients: randomBytes(secret.length * (threshold - 1)) });

describe('Shamir over GF(2⁸)', () => {
  it('gives the secret back from any threshold shares', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc
          .integer({ min: 2, max: 128 })
          .chain((shares) => fc.tuple(fc.integer({ min: 2, max: shares }), fc.constant(shares))),
        fc.infiniteStream(fc.nat()),
        (secret, [threshold, count], picks) => {
          const shares = split(secret, threshold, count);
          const places = shares.map((_, place) => place);
          const chosen = Array.from({ length: threshold }, () =>
            places.splice(Number(picks.next().value) % places.length, 1),
          ).flat();
          const combined = combineShares(
            chosen.map((place) => shares[place]!),
            weightsAtZero(chosen),
          );
          expect(combined).toEqual(secret);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('evaluates 0x53 + 0xca·x as FIPS 197 multiplies: x = 1, 2, 3', () => {
    const shares = splitSecret(Uint8Array.of(0x53), { threshold: 2, shares: 3, coefficients: Uint8Array.of(0xca) });
    // 0xca·2 = 0x8f, 0xca·3 = 0x45
    expect(shares.map(([value]) => value)).toEqual([0x53 ^ 0xca, 0x53 ^ 0x8f, 0x53 ^ 0x45]);
  });

  it('leaves every value of the secret possible with one share too few', () => {
    const coefficients = Uint8Array.of(7);
    const [, second] = splitSecret(Uint8Array.of(42), { threshold: 2, shares: 2, coefficients });
    const consistent = new Set<number>();
    for (let first = 0; first < 256; first++)
      consistent.add(combineShares([Uint8Array.of(first), second!], weightsAtZero([0, 1]))[0]!);
    expect(consistent.size).toBe(256);
  });

  it('refuses a threshold of one, too many shares, and a place twice', () => {
    const secret = new Uint8Array(32);
    expect(() => split(secret, 1, 3)).toThrow('2 ≤ threshold');
    expect(() => split(secret, 2, 256)).toThrow('255');
    expect(() => weightsAtZero([1, 1])).toThrow('twice');
  });
});

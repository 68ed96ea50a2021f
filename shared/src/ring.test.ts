import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addToRing, fromRing, ringBitsFor, ringForm, signedWords, toRing, wordsOf } from './ring.ts';
import { reduceWords, ringWords } from './secagg/mask.ts';

/** A round at the edge of what its ring takes: every coordinate within ±Q, every weight within the cap. */
const rounds = fc
  .record({
    coordinateCap: fc.constantFrom(1, 7, 127, 2 ** 15 - 1),
    weightCap: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 2 ** 31 })),
    dim: fc.integer({ min: 1, max: 6 }),
    nodes: fc.integer({ min: 1, max: 130 }),
    spareBits: fc.integer({ min: 0, max: 3 }),
  })
  .chain(({ coordinateCap, weightCap, dim, nodes, spareBits }) => {
    const bits = ringBitsFor(nodes * coordinateCap) + spareBits;
    const edge = fc.constantFrom(-coordinateCap, coordinateCap);
    const coordinate = fc.oneof(edge, fc.integer({ min: -coordinateCap, max: coordinateCap }));
    const weight = fc.oneof(fc.constant(weightCap), fc.integer({ min: 1, max: weightCap }));
    return fc.record({
      form: fc.constant(ringForm({ dim, bits, nodes, weightCap })),
      updates: fc.array(fc.tuple(fc.array(coordinate, { minLength: dim, maxLength: dim }), weight), {
        minLength: nodes,
        maxLength: nodes,
      }),
    });
  });

describe('the width of the ring', () => {
  it('is the smallest that the sum does not leave', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (reach) => {
        const bits = ringBitsFor(reach);
        expect(reach).toBeLessThan(2 ** (bits - 1));
        if (bits > 8) expect(reach).toBeGreaterThanOrEqual(2 ** (bits - 2));
      }),
    );
    for (const reach of [2 ** 31, 1e308, Infinity, Number.NaN]) expect(ringBitsFor(reach)).toBe(33);
  });

  it('at 4 bits is that of the published table', () => {
    expect([10, 100, 1000].map((nodes) => ringBitsFor(nodes * 7))).toEqual([8, 11, 14]);
  });
});

describe('vectors in the ring', () => {
  it('of a whole round at its limits add up exactly, coordinates and weights, in any order', () => {
    fc.assert(
      fc.property(rounds, ({ form, updates }) => {
        const forward = ringWords(form.bits, wordsOf(form));
        const backward = ringWords(form.bits, wordsOf(form));
        const vectors = updates.map(([values, weight]) => toRing(form, Int32Array.from(values), weight));
        for (const vector of vectors) {
          expect(vector.every((word) => word < 2 ** form.bits)).toBe(true);
          addToRing(forward, vector);
        }
        for (const vector of vectors.toReversed()) addToRing(backward, vector);
        reduceWords(forward, form.bits);
        reduceWords(backward, form.bits);
        expect(backward).toEqual(forward);
        const sum = fromRing(form, forward);
        expect(sum.weightSum).toBe(updates.reduce((total, [, weight]) => total + weight, 0));
        sum.coordinates.forEach((value, i) =>
          expect(value).toBe(updates.reduce((total, [values]) => total + values[i]!, 0)),
        );
      }),
    );
  });

  it('take no more words for the weight than it needs', () => {
    fc.assert(
      fc.property(rounds, ({ form: { bits, limbs, limbBits }, updates }) => {
        const nodes = updates.length;
        expect(nodes * (2 ** limbBits - 1)).toBeLessThan(2 ** bits);
        expect(nodes * (2 ** (limbBits + 1) - 1)).toBeGreaterThanOrEqual(2 ** bits);
        const heaviest = Math.max(...updates.map(([, weight]) => weight));
        expect(2 ** (limbs * limbBits)).toBeGreaterThan(heaviest);
      }),
    );
    expect(ringForm({ dim: 9, bits: 8, nodes: 10, weightCap: 1 })).toMatchObject({ limbs: 1 });
    expect(ringForm({ dim: 9, bits: 8, nodes: 10, weightCap: 10_000 })).toMatchObject({ limbs: 4, limbBits: 4 });
  });

  it('stand for signed numbers of b bits', () => {
    expect([...signedWords(Uint16Array.of(0, 1, 0x7ff, 0x800, 0xfff), 12)]).toEqual([0, 1, 2047, -2048, -1]);
    expect([...signedWords(Uint32Array.of(2 ** 31, 2 ** 32 - 1), 32)]).toEqual([-(2 ** 31), -1]);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSeededRandom } from './random.ts';
import {
  addToRing,
  bytesToRingWords,
  dequantizeSum,
  quantizeUpdate,
  ring,
  ringScale,
  ringWordsToBytes,
} from './ring.ts';

const federation = fc.record({
  clipNormL2: fc.double({ min: 0.01, max: 100, noNaN: true }),
  weightCap: fc.integer({ min: 1, max: 10_000 }),
  values: fc.integer({ min: 1, max: 40 }),
  nodes: fc.integer({ min: 1, max: 12 }),
  seed: fc.string(),
});

function draw({
  clipNormL2,
  weightCap,
  values,
  nodes,
  seed,
}: typeof federation extends fc.Arbitrary<infer T> ? T : never) {
  const random = createSeededRandom(seed);
  return Array.from({ length: nodes }, () => {
    const weight = 1 + random.integer(weightCap);
    const spread = (clipNormL2 * (0.1 + 3 * random.uniform())) / Math.sqrt(values);
    const delta = Float32Array.from({ length: values }, () => (2 * random.uniform() - 1) * spread);
    const norm = Math.sqrt(delta.reduce((sum, x) => sum + x * x, 0));
    const clipped = Array.from(delta, (x) => x * Math.min(1, clipNormL2 / norm));
    return { weight, clipped, update: quantizeUpdate(delta, { clipNormL2, weight, weightCap, random })! };
  });
}

describe('ring', () => {
  it('sums exactly, in any order', () => {
    fc.assert(
      fc.property(federation, (parameters) => {
        const updates = draw(parameters).map(({ update }) => update.words);
        const forward = new Uint32Array(parameters.values + 1);
        const backward = new Uint32Array(parameters.values + 1);
        updates.forEach((words) => addToRing(forward, words));
        updates.toReversed().forEach((words) => addToRing(backward, words));
        const exact = updates[0]!.map((_, i) =>
          Number(
            BigInt.asUintN(
              32,
              updates.reduce((sum, words) => sum + BigInt(words[i]!), 0n),
            ),
          ),
        );
        expect(forward).toEqual(exact);
        expect(backward).toEqual(exact);
      }),
    );
  });

  it('stays within the rounding bound of the float64 mean after dequantising', () => {
    fc.assert(
      fc.property(federation, (parameters) => {
        const nodes = draw(parameters);
        const accumulator = new Uint32Array(parameters.values + 1);
        nodes.forEach(({ update }) => addToRing(accumulator, update.words));
        const { meanDelta, weightSum } = dequantizeSum(accumulator, parameters);
        expect(weightSum).toBe(nodes.reduce((sum, { weight }) => sum + weight, 0));
        const bound = (nodes.length * parameters.weightCap) / (ringScale(parameters.clipNormL2) * weightSum);
        for (let i = 0; i < parameters.values; i++) {
          const mean = nodes.reduce((sum, { weight, clipped }) => sum + weight * clipped[i]!, 0) / weightSum;
          expect(Math.abs(meanDelta[i]! - mean)).toBeLessThanOrEqual(bound * (1 + 1e-6));
        }
      }),
    );
  });

  it('rounds without bias', () => {
    const random = createSeededRandom('bias');
    const clipNormL2 = ring.coordinateCap; // s = 1
    const draws = 20_000;
    let sum = 0;
    for (let i = 0; i < draws; i++) {
      const { words } = quantizeUpdate(Float32Array.of(-2.3), { clipNormL2, weight: 1, weightCap: 1, random })!;
      sum += words[0]! | 0;
    }
    // standard error √(0.3·0.7/20000) = 0.0032
    expect(Math.abs(sum / draws + 2.3)).toBeLessThan(0.015);
  });

  it('clips to the norm and says so, and never leaves the cap', () => {
    const random = createSeededRandom('clip');
    const update = quantizeUpdate(Float32Array.of(30, 40), { clipNormL2: 5, weight: 1, weightCap: 1, random })!;
    expect(update).toMatchObject({ clipped: true, normL2: 50 });
    expect(dequantizeSum(update.words, { clipNormL2: 5, weightCap: 1 }).meanDelta[0]).toBeCloseTo(3, 3);
    const edge = quantizeUpdate(Float32Array.of(5), { clipNormL2: 5, weight: 1, weightCap: 1, random })!;
    expect(edge.words[0]).toBeLessThanOrEqual(ring.coordinateCap);
  });

  it('refuses NaN and infinity', () => {
    const random = createSeededRandom('nan');
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, -3e38]) {
      const delta = bad === -3e38 ? Float32Array.of(1, Number.NEGATIVE_INFINITY) : Float32Array.of(1, bad);
      expect(quantizeUpdate(delta, { clipNormL2: 1, weight: 1, weightCap: 1, random })).toBeUndefined();
    }
  });

  it('keeps words through bytes', () => {
    const words = Uint32Array.of(0, 1, 0x01020304, 0xffffffff);
    expect(Array.from(ringWordsToBytes(words).subarray(8, 12))).toEqual([4, 3, 2, 1]);
    expect(bytesToRingWords(ringWordsToBytes(words))).toEqual(words);
  });
});

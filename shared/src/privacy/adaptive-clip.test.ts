import { describe, expect, it } from 'vitest';
import { gaussianRdp, epsilonOf } from './accountant.ts';
import {
  clipBit,
  clipNormFollows,
  costOfAdaptiveRound,
  nextClipNorm,
  noisyClipBit,
  vectorNoiseMultiplier,
  withinShareOf,
} from './adaptive-clip.ts';
import { noiseSettings } from './noise-settings.ts';
import { costOfRound, epsilonSpent } from './spending.ts';

describe('the adaptive clip norm', () => {
  it('splits the noise between vector and bit as published', () => {
    expect(vectorNoiseMultiplier(1, 100)).toBeCloseTo(1.0050378153, 10);
    expect(vectorNoiseMultiplier(5, 100)).toBeCloseTo(5.7735026919, 10);
  });

  it('refuses cohorts in which the bit would cost all of the noise', () => {
    expect(() => vectorNoiseMultiplier(1, 10)).toThrow('10 nodes are too few');
    expect(() => vectorNoiseMultiplier(5, 50)).toThrow('more than 50');
    expect(vectorNoiseMultiplier(5, 51)).toBeGreaterThan(20);
  });

  it('costs in all what the vector alone would at the full noise, but for a hair', () => {
    const nodes = 100;
    const noisyHonest = 60;
    for (const z of [1, 5]) {
      const noiseMultiplier = vectorNoiseMultiplier(z, nodes);
      const vector = costOfRound(
        noiseSettings({ values: 1000, clipNormL2: 1, quantizationBits: 16, noiseMultiplier, noisyHonest, nodes }),
      );
      const { epsilon } = epsilonSpent(
        costOfAdaptiveRound(vector, clipBit({ nodes, noisyHonest, most: nodes, bits: 32 }), noisyHonest),
        1e-5,
      );
      const gaussian = epsilonOf(gaussianRdp({ samplingShare: 1, noiseMultiplier: z }), 1e-5).epsilon;
      expect(Math.abs(epsilon / gaussian - 1)).toBeLessThan(1e-4);
      expect(epsilonSpent(vector, 1e-5).epsilon).toBeLessThan(epsilon);
    }
  });

  it('comes to the median of the norms, through the noise of the bit', () => {
    const norms = Array.from({ length: 101 }, (_, k) => 1 + k / 10);
    const bit = clipBit({ nodes: 101, noisyHonest: 101, most: 101, bits: 17 });
    const key = new Uint8Array(32);
    let clipNormL2 = 0.1;
    let late = 0;
    for (let round = 0; round < 200; round++) {
      const sum = norms.reduce((total, norm) => {
        new DataView(key.buffer).setUint32(0, round);
        new DataView(key.buffer).setFloat64(8, norm);
        return total + noisyClipBit(bit, norm <= clipNormL2, key);
      }, 0);
      clipNormL2 = nextClipNorm(clipNormL2, withinShareOf(sum, bit, norms.length));
      if (round >= 150) late += clipNormL2 / 50;
    }
    expect(late).toBeGreaterThan(5.5);
    expect(late).toBeLessThan(6.5);
    expect(nextClipNorm(2, 1)).toBeCloseTo(2 * Math.exp(-0.1), 12);
  });

  it('moves by a tenth of a logarithm a round at most, whatever the noise', () => {
    const bit = clipBit({ nodes: 5, noisyHonest: 2, most: 5, bits: 20 });
    for (const sum of [-1e9, -bit.magnitude, 0, bit.magnitude, 1e9])
      expect(clipNormFollows(3, nextClipNorm(3, withinShareOf(sum, bit, 5)), 1)).toBe(true);
    expect(clipNormFollows(3, 3 * Math.exp(0.1001), 1)).toBe(false);
    expect(clipNormFollows(3, 3 * Math.exp(-0.2), 1)).toBe(false);
    expect(clipNormFollows(3, 3 * Math.exp(-0.2), 2)).toBe(true);
    for (const broken of [0, -3, Number.NaN, Number.POSITIVE_INFINITY])
      expect(clipNormFollows(3, broken, 9)).toBe(false);
  });

  it('keeps the bit and its noise within the ring that the vector needs, and refuses one that is too narrow', () => {
    for (const bits of [10, 14, 17, 20, 32]) {
      const { magnitude, nodeVariance } = clipBit({ nodes: 50, noisyHonest: 30, most: 60, bits });
      expect(60 * magnitude + 12 * Math.sqrt(60 * nodeVariance)).toBeLessThan(2 ** (bits - 1));
      expect(nodeVariance).toBeLessThanOrEqual(2 ** 26);
      expect(nodeVariance * 30).toBeGreaterThanOrEqual((2 * magnitude * 2.5) ** 2);
    }
    expect(() => clipBit({ nodes: 100, noisyHonest: 60, most: 128, bits: 8 })).toThrow('a ring of 8 bits');
  });
});

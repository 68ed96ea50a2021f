import { describe, expect, it } from 'vitest';
import { gaussianRdp, epsilonOf } from './accountant.ts';
import { clipBit, costOfAdaptiveRound, nextClipNorm, vectorNoiseMultiplier, withinShareOf } from './adaptive-clip.ts';
import { createSecretRandom, drawSkellam } from './noise.ts';
import { noiseSettings } from './noise-settings.ts';
import { skellamTable } from './skellam-table.ts';
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
      const { epsilon } = epsilonSpent(costOfAdaptiveRound(vector, clipBit(nodes, noisyHonest), noisyHonest), 1e-5);
      const gaussian = epsilonOf(gaussianRdp({ samplingShare: 1, noiseMultiplier: z }), 1e-5).epsilon;
      expect(Math.abs(epsilon / gaussian - 1)).toBeLessThan(1e-4);
      expect(epsilonSpent(vector, 1e-5).epsilon).toBeLessThan(epsilon);
    }
  });

  it('comes to the median of the norms, through the noise of the bit', () => {
    const norms = Array.from({ length: 101 }, (_, k) => 1 + k / 10);
    const bit = clipBit(101, 101);
    const table = skellamTable(bit.nodeVariance);
    const random = createSecretRandom(new Uint8Array(32).fill(6));
    let clipNormL2 = 0.1;
    let late = 0;
    for (let round = 0; round < 200; round++) {
      const sum = norms.reduce(
        (total, norm) => total + (norm <= clipNormL2 ? bit.magnitude : -bit.magnitude) + drawSkellam(table, random),
        0,
      );
      clipNormL2 = nextClipNorm(clipNormL2, withinShareOf(sum, bit, norms.length));
      if (round >= 150) late += clipNormL2 / 50;
    }
    expect(late).toBeGreaterThan(5.5);
    expect(late).toBeLessThan(6.5);
    expect(nextClipNorm(2, 1)).toBeCloseTo(2 * Math.exp(-0.1), 12);
  });
});

import { describe, expect, it } from 'vitest';
import { dequantizeSum } from '../quantization.ts';
import { createSeededRandom } from '../random.ts';
import { empiricalEpsilon, proportionBound } from './audit.ts';
import { encodeNoisyUpdate } from './encoding.ts';
import { noiseSettings, type NoiseSettings } from './noise-settings.ts';
import { costOfRound, epsilonSpent } from './spending.ts';

const delta = 1e-5;
const confidence = 0.95;
const values = 64;
const rotationSeed = 'audit';

/** The longest update that clipping lets through, in a direction that the attacker knows. */
const canary = ((): Float32Array => {
  const random = createSeededRandom('canary');
  const raw = Float32Array.from({ length: values }, () => random.uniform() - 0.5);
  const norm = Math.hypot(...raw);
  return raw.map((value) => (3 * value) / norm);
})();

/** Sums of two nodes, of whom one holds the canary or zeros: how far each reaches in the canary's direction. */
function scores(settings: NoiseSettings, trials: number, isInside: boolean, label: number): number[] {
  const key = new Uint8Array(32).fill(label);
  const view = new DataView(key.buffer);
  return Array.from({ length: trials }, (_, trial) => {
    const coordinates = new Int32Array(settings.dim);
    for (const [node, delta] of [isInside ? canary : new Float32Array(values), new Float32Array(values)].entries()) {
      view.setUint32(0, trial);
      view.setUint32(4, node);
      encodeNoisyUpdate(delta, settings, { rotationSeed, key })!.coordinates.forEach(
        (value, i) => (coordinates[i]! += value),
      );
    }
    const mean = dequantizeSum({ coordinates, weightSum: 2 }, settings, { weightCap: 1, rotationSeed });
    return mean.reduce((total, value, i) => total + value * canary[i]!, 0);
  });
}

const audited = (settings: NoiseSettings, trials: number): number =>
  empiricalEpsilon(
    { inside: scores(settings, trials, true, 1), outside: scores(settings, trials, false, 2) },
    { delta, confidence },
  );

describe('an audit with a planted canary', () => {
  const settings = noiseSettings({
    values,
    clipNormL2: 1,
    quantizationBits: 16,
    noiseMultiplier: 1.5,
    noisyHonest: 2,
    nodes: 2,
  });
  const claim = epsilonSpent(costOfRound(settings), delta).epsilon;

  it('finds less than is claimed, and something', () => {
    const found = audited(settings, 600);
    expect(found).toBeLessThan(claim);
    expect(found).toBeGreaterThan(0.1);
  });

  it('finds more than is claimed where the noise is a tenth of what it should be', () => {
    const thin = { ...settings, nodeVariance: Math.ceil(settings.nodeVariance / 100) };
    expect(audited(thin, 600)).toBeGreaterThan(claim);
  });
});

describe('the bound of a proportion', () => {
  it('is that of Clopper and Pearson', () => {
    // 0 of n: 1 − miss^(1/n). n of n: miss^(1/n). 5 of 10 at 95 %: 0.18709 … 0.81291, as in the tables.
    expect(proportionBound(0, 100, 0.025, 'upper')).toBeCloseTo(1 - 0.025 ** 0.01, 10);
    expect(proportionBound(100, 100, 0.025, 'lower')).toBeCloseTo(0.025 ** 0.01, 10);
    expect(proportionBound(5, 10, 0.025, 'lower')).toBeCloseTo(0.18709, 5);
    expect(proportionBound(5, 10, 0.025, 'upper')).toBeCloseTo(0.81291, 5);
  });
});

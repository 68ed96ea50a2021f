import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dequantizeSum, type QuantizedUpdate } from '../quantization.ts';
import { createSeededRandom } from '../random.ts';
import { encodeNoisyUpdate, roundWithin } from './encoding.ts';
import { createSecretRandom } from './noise.ts';
import { type NoiseSettings, noiseSettings } from './noise-settings.ts';
import { rotate, unrotate } from './rotation.ts';

const base = { values: 3000, clipNormL2: 2, quantizationBits: 16, noiseMultiplier: 1, noisyHonest: 5, nodes: 10 };
const rotationSeed = 'run/0';
const normOf = (values: ArrayLike<number>): number => Math.hypot(...Array.from(values));
const vector = (seed: string, length: number, norm: number): Float32Array => {
  const random = createSeededRandom(seed);
  const raw = Float32Array.from({ length }, () => random.uniform() - 0.5);
  const factor = norm / normOf(raw);
  return raw.map((value) => value * factor);
};
/** Δ̄ of updates with noise, divided by their number. */
const meanOf = (updates: readonly (QuantizedUpdate | undefined)[], settings: NoiseSettings): Float64Array => {
  const coordinates = new Int32Array(settings.dim);
  for (const update of updates) update!.coordinates.forEach((value, i) => (coordinates[i]! += value));
  return dequantizeSum({ coordinates, weightSum: updates.length }, settings, { weightCap: 1, rotationSeed });
};
const thrown = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

describe('the rotation', () => {
  it('keeps the norm, spreads one value over its block, and goes back', () => {
    const spike = new Float32Array(1500);
    spike[1100] = 32;
    const rotated = rotate(spike, rotationSeed);
    expect(rotated).toHaveLength(2048);
    expect(rotated.subarray(0, 1024).every((value) => value === 0)).toBe(true);
    expect(rotated.subarray(1024).every((value) => Math.abs(value) === 1)).toBe(true);
    expect(unrotate(rotated, rotationSeed, 1500).map((value) => value + 0)).toEqual(Float64Array.from(spike));
    expect(unrotate(rotated, 'run/1', 1500)).not.toEqual(Float64Array.from(spike));
  });
});

describe('what all members work out of a run with noise', () => {
  it("keeps each node's noise within the sampler and the sum within the ring", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 20 }),
        fc.double({ min: 1e-3, max: 1e4, noNaN: true }),
        fc.double({ min: 0.1, max: 10, noNaN: true }),
        fc.integer({ min: 1, max: 128 }),
        (values, clipNormL2, noiseMultiplier, noisyHonest) => {
          const settings = noiseSettings({
            values,
            clipNormL2,
            quantizationBits: 16,
            noiseMultiplier,
            noisyHonest,
            nodes: 128,
          });
          expect(settings.nodeVariance).toBeLessThanOrEqual(2 ** 26);
          expect(settings.nodeVariance * noisyHonest).toBeGreaterThanOrEqual(
            (noiseMultiplier * settings.normBound) ** 2 * (1 - 1e-12),
          );
          expect(settings.reach).toBeGreaterThan(128 * settings.coordinateCap);
          expect(settings.reach).toBeLessThan(2 ** 31);
          expect(Number.isInteger(Math.log2(settings.scale))).toBe(true);
          expect(settings.dim % 1024).toBe(0);
        },
      ),
    );
  });

  it('refuses noise that no scale fits, and sums that could leave the ring', () => {
    expect(thrown(() => noiseSettings({ ...base, values: 2 ** 20, noiseMultiplier: 200 }))).toMatchObject({
      code: 'WEFT_PRIVACY_NOISE_UNFIT',
      message: expect.stringContaining('8192') as string,
    });
    expect(thrown(() => noiseSettings({ ...base, nodes: 200_000 }))).toMatchObject({
      code: 'WEFT_PRIVACY_NOISE_UNFIT',
      message: expect.stringContaining('2147483648') as string,
    });
  });
});

describe('an update with noise', () => {
  it('comes back from a sum within the bound of the noise', () => {
    const settings = noiseSettings({ ...base, noiseMultiplier: 0.5 });
    const updates = Array.from({ length: 10 }, (_, k) => vector(`update ${k}`, base.values, 1 + k / 10));
    const mean = meanOf(
      updates.map((update) => encodeNoisyUpdate(update, settings, { rotationSeed, key: randomBytes(32) })),
      settings,
    );
    const error = mean.map((value, i) => value - updates.reduce((total, update) => total + update[i]!, 0) / 10);
    // In each coordinate noise of deviation √(n·σ²)/(s·n), and rounding of at most half a unit a node on top.
    const deviation = Math.sqrt((10 * settings.nodeVariance) / (settings.scale * 10) ** 2);
    expect(normOf(error) / (deviation * Math.sqrt(base.values))).toBeGreaterThan(0.9);
    expect(normOf(error) / (deviation * Math.sqrt(base.values))).toBeLessThan(1.1);
  });

  it('is clipped before anything else, and what is not finite is refused', () => {
    const settings = noiseSettings({ ...base, noiseMultiplier: 0.001 });
    const once = (delta: Float32Array) => encodeNoisyUpdate(delta, settings, { rotationSeed, key: randomBytes(32) });
    const long = once(vector('long', base.values, 50))!;
    expect(long.clipped).toBe(true);
    expect(long.normL2).toBeCloseTo(50, 3);
    expect(normOf(meanOf([long], settings))).toBeCloseTo(2, 1);
    expect(once(new Float32Array(base.values).fill(Number.NaN))).toBeUndefined();
    expect(() => once(new Float32Array(3))).toThrow(RangeError);
  });

  it('has other noise under another key', () => {
    const settings = noiseSettings(base);
    const delta = vector('same', base.values, 1);
    const key = new Uint8Array(32).fill(1);
    const one = encodeNoisyUpdate(delta, settings, { rotationSeed, key })!.coordinates;
    expect(encodeNoisyUpdate(delta, settings, { rotationSeed, key })!.coordinates).toEqual(one);
    const other = encodeNoisyUpdate(delta, settings, { rotationSeed, key: new Uint8Array(32).fill(2) })!.coordinates;
    expect(other.filter((value, i) => value === one[i]).length).toBeLessThan(base.values / 100);
  });
});

describe('stochastic rounding', () => {
  const random = () => createSecretRandom(new Uint8Array(32).fill(5));

  it('is unbiased where nothing is drawn again', () => {
    const scaled = Float64Array.from({ length: 64 }, (_, i) => i / 8 - 4);
    const sums = new Float64Array(64);
    const shared = random();
    const draws = 4000;
    for (let draw = 0; draw < draws; draw++)
      roundWithin(scaled, Number.POSITIVE_INFINITY, shared).forEach((value, i) => (sums[i]! += value));
    // At most half a unit of deviation a draw: five of the mean's.
    scaled.forEach((value, i) => expect(Math.abs(sums[i]! / draws - value)).toBeLessThan((5 * 0.5) / Math.sqrt(draws)));
  });

  it('is drawn again until the norm of the integers holds, and given up after 64 draws', () => {
    const scaled = new Float64Array(256).fill(0.5);
    // Half of the draws have more than 128 ones.
    const shared = random();
    for (let k = 0; k < 20; k++) expect(normOf(roundWithin(scaled, Math.sqrt(128), shared))).toBeLessThanOrEqual(11.32);
    expect(thrown(() => roundWithin(scaled, 1, shared))).toMatchObject({ code: 'WEFT_PRIVACY_ROUNDING' });
  });
});

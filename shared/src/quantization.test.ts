import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  coordinateCapOf,
  dequantizeSum,
  quantizationGrid,
  type QuantizationGrid,
  quantizeUpdate,
  rangeDeviations,
} from './quantization.ts';
import { createSeededRandom, type SeededRandom } from './random.ts';

const rotationSeed = 'a round';
const normOf = (values: ArrayLike<number>): number => Math.hypot(...Array.from(values));

/** Of a given norm, with values of very different sizes. */
function draw(random: SeededRandom, values: number, norm: number): Float32Array {
  const raw = Float32Array.from({ length: values }, () => (random.uniform() - 0.5) * 2 ** random.integer(8));
  const factor = norm / normOf(raw);
  return raw.map((value) => value * factor);
}

/** The mean through the grid, and its distance from the float64 mean of the clipped updates. */
function meanOf(
  deltas: readonly { delta: Float32Array; weight: number }[],
  grid: QuantizationGrid,
  { clipNormL2, weightCap, random }: { clipNormL2: number; weightCap: number; random: SeededRandom },
) {
  const coordinates = new Int32Array(grid.dim);
  const exact = new Float64Array(grid.values);
  let weightSum = 0;
  let saturatedValues = 0;
  for (const { delta, weight } of deltas) {
    const update = quantizeUpdate(delta, grid, { clipNormL2, weight, weightCap, rotationSeed, random })!;
    update.coordinates.forEach((value, i) => (coordinates[i]! += value));
    const clip = update.clipped ? clipNormL2 / update.normL2 : 1;
    delta.forEach((value, i) => (exact[i]! += weight * clip * value));
    saturatedValues += update.saturatedValues;
    weightSum += weight;
  }
  const mean = dequantizeSum({ coordinates, weightSum }, grid, { weightCap, rotationSeed });
  const error = normOf(mean.map((value, i) => value - exact[i]! / weightSum));
  return { mean, error, saturatedValues };
}

describe('quantization', () => {
  it('stays within the rounding bound of the float64 mean in each coordinate, at 16 bits', () => {
    const federation = fc.record({
      clipNormL2: fc.double({ min: 0.01, max: 100, noNaN: true }),
      weightCap: fc.integer({ min: 1, max: 10_000 }),
      values: fc.integer({ min: 1, max: 40 }),
      nodes: fc.integer({ min: 1, max: 12 }),
      seed: fc.string(),
    });
    fc.assert(
      fc.property(federation, ({ clipNormL2, weightCap, values, nodes, seed }) => {
        const random = createSeededRandom(seed);
        const grid = quantizationGrid({ values, clipNormL2, quantizationBits: 16 });
        expect(grid).toMatchObject({ isRotated: false, dim: values, coordinateCap: 2 ** 15 - 1 });
        const deltas = Array.from({ length: nodes }, () => ({
          delta: draw(random, values, clipNormL2 * 2 * random.uniform() + 1e-6),
          weight: 1 + random.integer(weightCap),
        }));
        const weightSum = deltas.reduce((sum, { weight }) => sum + weight, 0);
        const { error } = meanOf(deltas, grid, { clipNormL2, weightCap, random });
        // Less than one unit of 1/s · w_max/Σw for each node and coordinate.
        const bound = ((nodes * weightCap) / (grid.scale * weightSum)) * Math.sqrt(values);
        expect(error).toBeLessThanOrEqual(bound * (1 + 1e-6));
      }),
    );
  });

  it('is off by as much as its documentation says, at every width', () => {
    const values = 8000;
    const clipNormL2 = 3;
    for (const quantizationBits of [3, 4, 6, 8, 16]) {
      for (const nodes of [1, 9]) {
        const random = createSeededRandom(`${quantizationBits}/${nodes}`);
        const grid = quantizationGrid({ values, clipNormL2, quantizationBits });
        const deltas = Array.from({ length: nodes }, () => ({ delta: draw(random, values, clipNormL2), weight: 1 }));
        const { error } = meanOf(deltas, grid, { clipNormL2, weightCap: 1, random });
        const range = quantizationBits === 16 ? Math.sqrt(values) : rangeDeviations;
        const expected = (clipNormL2 * range) / (2 * coordinateCapOf(quantizationBits) * Math.sqrt(nodes));
        // Fractions that are spread evenly have a variance of 1/6 and not of 1/4: √(2/3) of the bound.
        expect(error / expected).toBeGreaterThan(0.7);
        expect(error / expected).toBeLessThan(1.02);
      }
    }
  });

  it('loses w_max/w times as much of an update of weight w', () => {
    const values = 4000;
    const grid = quantizationGrid({ values, clipNormL2: 1, quantizationBits: 8 });
    const errorAt = (weight: number): number => {
      const random = createSeededRandom('weights');
      return meanOf([{ delta: draw(random, values, 1), weight }], grid, { clipNormL2: 1, weightCap: 10, random }).error;
    };
    expect(errorAt(1) / errorAt(10)).toBeGreaterThan(8);
    expect(errorAt(1) / errorAt(10)).toBeLessThan(12);
  });

  it('rounds without bias, at every width', () => {
    for (const quantizationBits of [2, 4, 8, 16]) {
      const random = createSeededRandom(`bias ${quantizationBits}`);
      const values = 40;
      const clipNormL2 = 1;
      const grid = quantizationGrid({ values, clipNormL2, quantizationBits });
      const delta = draw(random, values, 0.2);
      const draws = 3000;
      const sum = new Float64Array(values);
      for (let i = 0; i < draws; i++) {
        const { mean, saturatedValues } = meanOf([{ delta, weight: 1 }], grid, { clipNormL2, weightCap: 1, random });
        expect(saturatedValues).toBe(0);
        mean.forEach((value, k) => (sum[k]! += value));
      }
      // Half a unit of deviation a draw and rotated coordinate at most: five of the mean's.
      const tolerance = (5 * 0.5) / (grid.scale * Math.sqrt(draws));
      delta.forEach((value, k) => expect(Math.abs(sum[k]! / draws - value)).toBeLessThan(tolerance));
    }
  });

  it('never leaves the range, and counts what it cut off', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 16 }),
        fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 50 }),
        fc.string(),
        (quantizationBits, list, seed) => {
          const delta = Float32Array.from(list);
          const grid = quantizationGrid({ values: delta.length, clipNormL2: 1, quantizationBits });
          const random = createSeededRandom(seed);
          const update = quantizeUpdate(delta, grid, { clipNormL2: 1, weight: 1, weightCap: 1, rotationSeed, random });
          if (update === undefined) return;
          expect(update.coordinates.every((value) => Math.abs(value) <= coordinateCapOf(quantizationBits))).toBe(true);
          expect(update.clipped).toBe(update.normL2 > 1);
        },
      ),
    );
    // 1024 equal values rotate to few long ones: far beyond four deviations.
    const grid = quantizationGrid({ values: 1024, clipNormL2: 1, quantizationBits: 8 });
    const spike = quantizeUpdate(
      new Float32Array(1024).fill(1 / 32),
      { ...grid, isRotated: false, scale: 1e6 },
      {
        clipNormL2: 1,
        weight: 1,
        weightCap: 1,
        rotationSeed,
        random: createSeededRandom('spike'),
      },
    )!;
    expect(spike.saturatedValues).toBe(1024);
    expect(spike.coordinates.every((value) => value === 127)).toBe(true);
  });

  it('brings one long value into few bits by way of the rotation', () => {
    const clipNormL2 = 1;
    const delta = new Float32Array(1024);
    delta[77] = 1;
    const random = createSeededRandom('one');
    const grid = quantizationGrid({ values: 1024, clipNormL2, quantizationBits: 4 });
    const { error, saturatedValues } = meanOf([{ delta, weight: 1 }], grid, { clipNormL2, weightCap: 1, random });
    expect(saturatedValues).toBe(0);
    expect(error).toBeLessThan(0.3);
  });

  it('clips to the norm and says so', () => {
    const random = createSeededRandom('clip');
    const grid = quantizationGrid({ values: 2, clipNormL2: 5, quantizationBits: 16 });
    const input = { clipNormL2: 5, weight: 1, weightCap: 1, rotationSeed, random };
    const update = quantizeUpdate(Float32Array.of(30, 40), grid, input)!;
    expect(update).toMatchObject({ clipped: true, normL2: 50 });
    const mean = dequantizeSum({ coordinates: update.coordinates, weightSum: 1 }, grid, input);
    expect(mean[0]).toBeCloseTo(3, 3);
    expect(mean[1]).toBeCloseTo(4, 3);
  });

  it('refuses NaN and infinity', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const quantizationBits of [4, 16]) {
        const grid = quantizationGrid({ values: 2, clipNormL2: 1, quantizationBits });
        const input = { clipNormL2: 1, weight: 1, weightCap: 1, rotationSeed, random: createSeededRandom('nan') };
        expect(quantizeUpdate(Float32Array.of(1, bad), grid, input)).toBeUndefined();
      }
    }
  });
});

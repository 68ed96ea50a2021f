import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRunSpec, type RunSpecInput } from './run-spec.ts';
import * as privacy from './privacy/index.ts';
import { dequantizeSum } from './quantization.ts';
import { costOfUpdate, decodeSum, payloadOf, updateEncoding } from './update-encoding.ts';
import { createSeededRandom } from './random.ts';
import { addToRing } from './ring.ts';
import { reduceWords, ringWords } from './secagg/mask.ts';
import { unpackWords } from './secagg/packing.ts';

const specOf = (maximum: number, aggregation: RunSpecInput['aggregation'], privacy?: RunSpecInput['privacy']) =>
  parseRunSpec({
    name: 'widths',
    baseModel: { name: 'tiny', sha256: 'a'.repeat(64) },
    training: { steps: 1 },
    cohort: { minimum: Math.min(maximum, 5), maximum },
    aggregation,
    evaluation: { heldOutShare: 0 },
    ...(privacy && { privacy }),
    rounds: 1,
  });
const bitsOf = (...args: Parameters<typeof specOf>): number => updateEncoding(specOf(...args), 4096).offered.bits;

describe('the encoding of an update', () => {
  it('is as wide as the sum over cohort.maximum needs, and no wider', () => {
    expect(bitsOf(10, { quantizationBits: 4 })).toBe(8);
    expect(bitsOf(100, { quantizationBits: 4 })).toBe(11);
    expect(bitsOf(10, { quantizationBits: 8 })).toBe(12);
    expect(bitsOf(10, {})).toBe(20);
    expect(bitsOf(128, {})).toBe(23);
  });

  it('takes whole bytes a word in mode plain', () => {
    expect([2, 4, 8, 16].map((quantizationBits) => bitsOf(10, { mode: 'plain', quantizationBits }))).toEqual([
      8, 8, 16, 24,
    ]);
  });

  it('grows by the tail of the noise: at 4 bits and z = 1 to about 17', () => {
    const noisy = specOf(10, { quantizationBits: 4, weighting: 'uniform', clipNormL2: 1 }, { noiseMultiplier: 1 });
    const encoding = updateEncoding(noisy, 2 ** 20);
    expect(encoding.offered.bits).toBeGreaterThanOrEqual(16);
    expect(encoding.offered.bits).toBeLessThanOrEqual(18);
    expect(encoding.noise!.reach).toBeLessThan(2 ** (encoding.offered.bits - 1));
    expect(encoding.grid.coordinateCap).toBe(7);
  });

  it('carries the clip bit of an adapting run as one more coordinate, and charges for it', () => {
    const run = { quantizationBits: 4, weighting: 'uniform', clipNormL2: 1 } as const;
    const parsed = (adaptiveClipping: boolean, noiseMultiplier = 0.4) =>
      updateEncoding(specOf(10, run, { noiseMultiplier, adaptiveClipping }), 2000);
    const [still, moving] = [parsed(false), parsed(true)];
    expect(moving.offered.words).toBe(still.offered.words + 1);
    expect(moving.offered.noiseMultiplier).toBeGreaterThan(0.4);
    expect(moving.clipBit).toBeDefined();
    // What the vector pays less for its larger noise the bit pays, so that both cost what 0.4 says.
    const epsilonOf = (encoding: typeof still): number => privacy.epsilonSpent(costOfUpdate(encoding)!, 1e-5).epsilon;
    expect(epsilonOf(moving) / epsilonOf(still)).toBeGreaterThan(0.99);
    expect(epsilonOf(moving) / epsilonOf(still)).toBeLessThan(1.01);
    expect(() => parsed(true, 0.5)).toThrow('5 nodes are too few to adapt the clip norm');
    expect(costOfUpdate(updateEncoding(specOf(10, run), 2000))).toBeUndefined();
  });

  it('gives the share within the clip norm back from a sum, and the mean as if no bit were there', () => {
    const spec = specOf(5, { weighting: 'uniform', clipNormL2: 1 }, { noiseMultiplier: 0.02, adaptiveClipping: true });
    const encoding = updateEncoding(spec, 1000, 0.7);
    const { bits, words } = encoding.offered;
    expect(encoding.offered.clipNormL2).toBe(0.7);
    const sum = ringWords(bits, words);
    const coordinates = new Int32Array(encoding.grid.dim).map((_, i) => i - 300);
    for (const isWithin of [true, true, true, true, false]) {
      const clipBit = isWithin ? encoding.clipBit!.magnitude : -encoding.clipBit!.magnitude;
      const update = { coordinates, normL2: 1, clipped: !isWithin, saturatedValues: 0 };
      addToRing(sum, unpackWords(payloadOf(encoding, update, { weight: 1, clipBit }), words, bits)!);
    }
    reduceWords(sum, bits);
    const decoded = decodeSum(encoding, sum, { rotationSeed: 'r', nodes: 5 });
    expect(decoded.withinShare).toBeCloseTo(0.8, 12);
    const alone = { ...encoding.grid };
    const mean = dequantizeSum({ coordinates, weightSum: 1 }, alone, { weightCap: 1, rotationSeed: 'r' });
    decoded.meanDelta.forEach((value, i) => expect(value).toBeCloseTo(mean[i]!, 9));
  });

  it('brings noisy updates of few bits back from the ring, within the bound of noise and rounding', () => {
    for (const quantizationBits of [4, 8]) {
      const nodes = 10;
      const values = 2000;
      const run = { quantizationBits, weighting: 'uniform', clipNormL2: 1 } as const;
      const encoding = updateEncoding(specOf(nodes, run, { noiseMultiplier: 0.1 }), values);
      const { noise, offered } = encoding;
      const random = createSeededRandom('noisy');
      const sum = ringWords(offered.bits, offered.words);
      const exact = new Float64Array(values);
      for (let node = 0; node < nodes; node++) {
        const delta = Float32Array.from({ length: values }, () => (random.uniform() - 0.5) / 40);
        delta.forEach((value, i) => (exact[i]! += value / nodes));
        const key = new Uint8Array(32).fill(node + 1);
        const update = privacy.encodeNoisyUpdate(delta, noise!, { rotationSeed: 'r', key })!;
        addToRing(sum, unpackWords(payloadOf(encoding, update, { weight: 1 }), offered.words, offered.bits)!);
      }
      reduceWords(sum, offered.bits);
      const { meanDelta } = decodeSum(encoding, sum, { rotationSeed: 'r', nodes });
      const error = Math.hypot(...meanDelta.map((value, i) => value - exact[i]!));
      // Variances of noise and of rounding, a sixth of a unit on average and a quarter at most, add up.
      const bound = Math.sqrt((values * (noise!.nodeVariance + 0.25)) / nodes) / noise!.scale;
      expect(error / bound).toBeGreaterThan(0.85);
      expect(error / bound).toBeLessThan(1.1);
    }
  });

  it('is refused where no ring is wide enough', () => {
    expect(() => specOf(70_000, { mode: 'plain' })).toThrow('70000 nodes reach 2293690000, the limit is 2147483648');
    expect(bitsOf(65_000, { mode: 'plain' })).toBe(32);
    expect(bitsOf(60_000, { mode: 'plain', quantizationBits: 8 })).toBe(24);
  });

  it('is refused below 16 bits where a rule looks at single coordinates', () => {
    const robust = { mode: 'plain', weighting: 'uniform', rule: 'coordinate-median' } as const;
    expect(() => specOf(5, { ...robust, quantizationBits: 8 })).toThrow('aggregation.quantizationBits: 16');
    expect(specOf(5, robust).aggregation.quantizationBits).toBe(16);
    for (const quantizationBits of [1, 17, 4.5])
      expect(() => specOf(5, { quantizationBits })).toThrow('quantizationBits');
  });

  it('holds a whole round at its limits, from words to bytes and back', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 16 }),
        fc.integer({ min: 3, max: 60 }),
        fc.constantFrom('secure' as const, 'plain' as const),
        fc.integer({ min: 1, max: 2 ** 31 }),
        (quantizationBits, nodes, mode, weightCap) => {
          const spec = specOf(nodes, { mode, quantizationBits, weightCap, secure: { droppingShare: 0 } });
          const encoding = updateEncoding(spec, 3);
          const { bits, words } = encoding.offered;
          const cap = encoding.grid.coordinateCap;
          const sum = ringWords(bits, words);
          const coordinates = new Int32Array(encoding.grid.dim).fill(-cap);
          coordinates[1] = cap;
          for (let node = 0; node < nodes; node++) {
            const payload = payloadOf(
              encoding,
              { coordinates, normL2: 1, clipped: false, saturatedValues: 0 },
              { weight: weightCap },
            );
            expect(payload).toHaveLength(encoding.payloadBytes);
            addToRing(sum, unpackWords(payload, words, bits)!);
          }
          reduceWords(sum, bits);
          const flat = { ...encoding, grid: { ...encoding.grid, isRotated: false } };
          const { meanDelta, weightSum } = decodeSum(flat, sum, { rotationSeed: '', nodes });
          expect(weightSum).toBe(nodes * weightCap);
          expect(meanDelta[0]! * encoding.grid.scale).toBeCloseTo(-cap, 6);
          expect(meanDelta[1]! * encoding.grid.scale).toBeCloseTo(cap, 6);
        },
      ),
      { numRuns: 60 },
    );
  });
});

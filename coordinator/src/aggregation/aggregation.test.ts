import {
  createAdapterLayout,
  createSeededRandom,
  dequantizeSum,
  factorSize,
  gatherFactor,
  quantizeUpdate,
  ring,
  ringScale,
  ringWordsToBytes,
  scatterFactor,
} from '@weft/shared';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { Accumulator } from './accumulator.ts';
import { createAggregator } from './aggregator.ts';
import { gatherState, scatterState } from './factor-slices.ts';
import { serverStep } from './server-optimizer.ts';

const aggregator = createAggregator();
afterAll(() => aggregator.close());

const coordinate = fc.integer({ min: -ring.coordinateCap, max: ring.coordinateCap });
const updatesOf = (values: number) =>
  fc.array(
    fc.tuple(fc.array(coordinate, { minLength: values, maxLength: values }), fc.integer({ min: 1, max: 10_000 })),
    {
      minLength: 1,
      maxLength: 40,
    },
  );

/** Cuts at whole words, wherever. */
const inPieces = (bytes: Uint8Array, words: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(bytes.length / (4 * words)) }, (_, i) =>
    bytes.subarray(4 * words * i, 4 * words * (i + 1)),
  );

async function* stream(bytes: Uint8Array, words = 3): AsyncGenerator<Uint8Array> {
  for (const piece of inPieces(bytes, words)) yield piece.slice();
}

test('the sum in the ring is the exact integer sum, whatever the order and the pieces', () => {
  fc.assert(
    fc.property(updatesOf(7), fc.integer({ min: 1, max: 8 }), fc.infiniteStream(fc.nat()), (updates, words, dice) => {
      const accumulator = new Accumulator(7);
      const shuffled = updates
        .map((update) => ({ update, order: dice.next().value }))
        .toSorted((x, y) => x.order - y.order);
      for (const { update } of shuffled) {
        const [values, weight] = update;
        for (const piece of inPieces(ringWordsToBytes(Uint32Array.from([...values, weight])), words))
          accumulator.add(piece);
        accumulator.endUpdate();
      }
      for (let i = 0; i < 7; i++) {
        const exact = updates.reduce((sum, [values]) => sum + BigInt(values[i]!), 0n);
        expect(BigInt(accumulator.words[i]! | 0)).toBe(exact);
      }
      expect(BigInt(accumulator.words[7]!)).toBe(updates.reduce((sum, [, weight]) => sum + BigInt(weight), 0n));
    }),
  );
});

test('an update that is too short or too long never ends well', () => {
  const accumulator = new Accumulator(2);
  accumulator.add(new Uint8Array(8));
  expect(() => accumulator.endUpdate()).toThrow(RangeError);
  expect(() => accumulator.add(new Uint8Array(8))).toThrow(RangeError);
  expect(() => accumulator.add(new Uint8Array(3))).toThrow(RangeError);
});

test('after dequantising, every coordinate is within the rounding bound of the float64 mean', () => {
  const values = 16;
  const node = fc.record({
    delta: fc.array(fc.float({ min: -4, max: 4, noNaN: true }), { minLength: values, maxLength: values }),
    examples: fc.integer({ min: 1, max: 20_000 }),
  });
  fc.assert(
    fc.property(
      fc.array(node, { minLength: 1, maxLength: 20 }),
      fc.constantFrom(0.5, 10),
      fc.string(),
      (nodes, clipNormL2, seed) => {
        const weightCap = 10_000;
        const accumulator = new Accumulator(values);
        const mean = new Float64Array(values);
        let weightSum = 0;
        for (const [n, { delta, examples }] of nodes.entries()) {
          const weight = Math.min(examples, weightCap);
          const x = Float32Array.from(delta);
          const update = quantizeUpdate(x, {
            clipNormL2,
            weight,
            weightCap,
            random: createSeededRandom(`${seed}${n}`),
          })!;
          accumulator.add(ringWordsToBytes(update.words));
          accumulator.endUpdate();
          const clip = update.normL2 > clipNormL2 ? clipNormL2 / update.normL2 : 1;
          x.forEach((value, i) => (mean[i]! += weight * value * clip));
          weightSum += weight;
        }
        const dequantized = dequantizeSum(accumulator.words, { clipNormL2, weightCap });
        expect(dequantized.weightSum).toBe(weightSum);
        // Stochastic rounding moves a coordinate by less than one unit of 1/s · w_max/Σw for each node.
        const bound = (nodes.length * weightCap) / (ringScale(clipNormL2) * weightSum);
        for (let i = 0; i < values; i++) {
          expect(Math.abs(dequantized.meanDelta[i]! - mean[i]! / weightSum)).toBeLessThanOrEqual(
            bound * (1 + 1e-9) + 1e-12,
          );
        }
      },
    ),
  );
});

describe('the server optimizer', () => {
  const vector = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 });

  test('fedavg with rate 1 adds the mean, rounded once to float32', () => {
    const { next, momentum, stepNormL2 } = serverStep(Float32Array.of(1, 2), Float64Array.of(0.1, 3), {
      optimizer: 'fedavg',
      learningRate: 1,
      momentum: 0.9,
    });
    expect([...next]).toEqual([Math.fround(1.1), 5]);
    expect(momentum).toBeUndefined();
    expect(stepNormL2).toBeCloseTo(Math.hypot(0.1, 3), 12);
  });

  test('fedavgm is the sum of all earlier deltas with weights that fall geometrically', () => {
    fc.assert(
      fc.property(
        fc.array(vector, { minLength: 1, maxLength: 12 }),
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        (deltas, beta) => {
          const settings = { optimizer: 'fedavgm', learningRate: 0.7, momentum: beta } as const;
          let theta: Float32Array = new Float32Array(4);
          let momentum: Float64Array | undefined;
          for (const delta of deltas)
            ({ next: theta, momentum } = serverStep(theta, Float64Array.from(delta), settings, momentum));
          // Unrolled: θ_T = η Σ_i Δ_i (1 − β^(T−i)) / (1 − β).
          for (let k = 0; k < 4; k++) {
            const expected = deltas.reduce(
              (sum, delta, i) => sum + (0.7 * delta[k]! * (1 - beta ** (deltas.length - i))) / (1 - beta),
              0,
            );
            expect(Math.abs(theta[k]! - expected)).toBeLessThanOrEqual(1e-5 * (1 + Math.abs(expected)));
          }
        },
      ),
    );
  });
});

describe('with one factor fixed', () => {
  const layout = createAdapterLayout(
    { layers: 2, hiddenSize: 6, intermediateSize: 8, heads: 2, kvHeads: 1, headDim: 3 },
    { rank: 2, alpha: 4, targets: ['q_proj', 'v_proj'] },
  );
  const random = createSeededRandom('factors');
  const draw = (size: number) => Float32Array.from({ length: size }, () => 2 * random.uniform() - 1);

  /** B·A of every adapted layer, [out, in] each, float64. */
  const products = (values: Float32Array): number[] =>
    layout.tensors
      .filter(({ factor }) => factor === 'A')
      .flatMap((a) => {
        const b = layout.tensors.find(
          ({ layer, target, factor }) => layer === a.layer && target === a.target && factor === 'B',
        )!;
        const [rank, inFeatures] = a.shape;
        return Array.from({ length: b.shape[0] * inFeatures }, (_, at) => {
          const row = Math.floor(at / inFeatures);
          const column = at % inFeatures;
          let sum = 0;
          for (let r = 0; r < rank; r++)
            sum += values[b.offset + row * rank + r]! * values[a.offset + r * inFeatures + column]!;
          return sum;
        });
      });

  test.each(['A', 'B'] as const)('the aggregate of factor %s gives the aggregate of the products', async (trained) => {
    const before = draw(layout.size);
    const previous = gatherFactor(layout, before, trained);
    const weights = [3, 5, 9];
    const deltas = weights.map(() => draw(factorSize(layout, trained)));
    const clipNormL2 = 100;
    const weightCap = 9;
    const updates = deltas.map((delta, i) =>
      ringWordsToBytes(
        quantizeUpdate(delta, { clipNormL2, weight: weights[i]!, weightCap, random: createSeededRandom(`${i}`) })!
          .words,
      ),
    );
    const { next } = await aggregator.aggregate({
      words: previous.length + 1,
      updates: updates.map((bytes) => stream(bytes)),
      clipNormL2,
      weightCap,
      server: { optimizer: 'fedavg', learningRate: 1, momentum: 0 },
      previous,
      momentum: undefined,
    });
    const aggregated = products(scatterFactor(layout, before, trained, next));
    const local = deltas.map((delta) =>
      products(
        scatterFactor(
          layout,
          before,
          trained,
          previous.map((value, i) => value + delta[i]!),
        ),
      ),
    );
    const bound = (3 * weightCap) / (ringScale(clipNormL2) * 17);
    aggregated.forEach((value, i) => {
      const mean = weights.reduce((sum, weight, n) => sum + weight * local[n]![i]!, 0) / 17;
      expect(Math.abs(value - mean)).toBeLessThanOrEqual(2 * bound + 1e-6);
    });
  });

  test('momentum of one factor is untouched by rounds of the other', () => {
    const state = Float64Array.from(draw(layout.size));
    const ofA = gatherState(layout, state, 'A');
    const changed = scatterState(
      layout,
      state,
      'B',
      gatherState(layout, state, 'B').map((value) => value + 1),
    );
    expect(gatherState(layout, changed, 'A')).toEqual(ofA);
    expect(gatherState(layout, changed, 'both')).toEqual(changed);
  });
});

test('the worker thread gives the same bits in any order of updates, and a broken update fails the job alone', async () => {
  const values = 100_000;
  const random = createSeededRandom('worker');
  const updates = Array.from({ length: 5 }, (_, i) => {
    const words = Uint32Array.from({ length: values + 1 }, () => random.integer(1000) - 500);
    words[values] = i + 1;
    return ringWordsToBytes(words);
  });
  const job = (list: readonly Uint8Array[]) => ({
    words: values + 1,
    updates: list.map((bytes) => stream(bytes, 1 << 16)),
    clipNormL2: 10,
    weightCap: 5,
    server: { optimizer: 'fedavgm', learningRate: 1, momentum: 0.9 } as const,
    previous: new Float32Array(values).fill(0.5),
    momentum: undefined,
  });
  const one = await aggregator.aggregate(job(updates));
  await expect(aggregator.aggregate(job([updates[0]!.subarray(4)]))).rejects.toThrow('update ended');
  const other = await aggregator.aggregate(job(updates.toReversed()));
  expect(one.weightSum).toBe(15);
  expect(Buffer.from(one.next.buffer).equals(Buffer.from(other.next.buffer))).toBe(true);
  expect(other.momentum).toEqual(one.momentum);
});

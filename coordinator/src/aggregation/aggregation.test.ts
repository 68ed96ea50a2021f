import {
  addToRing,
  createAdapterLayout,
  createSeededRandom,
  decodeSum,
  factorSize,
  faultOfSum,
  fromRing,
  gatherFactor,
  parseRunSpec,
  payloadOf,
  quantizeUpdate,
  scatterFactor,
  secagg,
  updateEncoding,
  type RunSpecInput,
  type UpdateEncoding,
} from '@weft/shared';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { Accumulator } from './accumulator.ts';
import { createAggregator } from './aggregator.ts';
import { gatherState, scatterState } from './factor-slices.ts';
import { serverStep } from './server-optimizer.ts';

const aggregator = createAggregator();
afterAll(() => aggregator.close());

const encodingOf = (
  values: number,
  { maximum, ...aggregation }: { maximum: number } & Partial<RunSpecInput['aggregation']>,
): UpdateEncoding =>
  updateEncoding(
    parseRunSpec({
      name: 'sums',
      baseModel: { name: 'tiny', sha256: 'a'.repeat(64) },
      training: { steps: 1 },
      cohort: { minimum: Math.min(3, maximum), maximum },
      aggregation: { secure: { droppingShare: 0 }, ...aggregation },
      rounds: 1,
    }),
    values,
  );

/** As it leaves a node; in mode secure the masks would lie on top. */
const packed = (encoding: UpdateEncoding, values: ArrayLike<number>, weight: number): Uint8Array => {
  const coordinates = new Int32Array(encoding.grid.dim);
  coordinates.set(values);
  return payloadOf(encoding, { coordinates, normL2: 1, clipped: false, saturatedValues: 0 }, { weight });
};

/** Cut anywhere, in the middle of words too. */
const inPieces = (bytes: Uint8Array, sizeBytes: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(bytes.length / sizeBytes) }, (_, i) =>
    bytes.subarray(sizeBytes * i, sizeBytes * (i + 1)),
  );

async function* stream(bytes: Uint8Array, sizeBytes = 11): AsyncGenerator<Uint8Array> {
  for (const piece of inPieces(bytes, sizeBytes)) yield piece.slice();
}

test('the sum in the ring is the exact integer sum, whatever its width, the order, the pieces and the masks', () => {
  const rounds = fc.record({
    quantizationBits: fc.integer({ min: 2, max: 16 }),
    maximum: fc.integer({ min: 3, max: 40 }),
    mode: fc.constantFrom('secure' as const, 'plain' as const),
    weightCap: fc.integer({ min: 1, max: 10_000 }),
    sizeBytes: fc.integer({ min: 1, max: 9 }),
    dice: fc.infiniteStream(fc.nat()),
  });
  fc.assert(
    fc.property(rounds, ({ maximum, sizeBytes, dice, ...aggregation }) => {
      const roll = (below: number): number => dice.next().value % below;
      const encoding = encodingOf(7, { maximum, ...aggregation });
      const { offered, form, grid } = encoding;
      const updates = Array.from({ length: maximum }, () => ({
        values: Array.from({ length: 7 }, () => roll(2 * grid.coordinateCap + 1) - grid.coordinateCap),
        weight: 1 + roll(aggregation.weightCap),
        order: roll(1000),
      }));
      const accumulator = new Accumulator(offered);
      const terms: secagg.MaskTerm[] = [];
      for (const { values, weight, order } of updates.toSorted((x, y) => x.order - y.order)) {
        const seed = new Uint8Array(32).fill(order % 256);
        terms.push({ seed, sign: -1 });
        const words = secagg.unpackWords(packed(encoding, values, weight), offered.words, offered.bits)!;
        secagg.addMasks(words, [{ seed, sign: 1 }]);
        secagg.reduceWords(words, offered.bits);
        for (const piece of inPieces(secagg.packWords(words, offered.bits), sizeBytes)) accumulator.add(piece);
        accumulator.endUpdate();
      }
      accumulator.addMasks(terms);
      const sum = fromRing(form, accumulator.sum());
      for (let i = 0; i < 7; i++)
        expect(sum.coordinates[i]).toBe(updates.reduce((total, { values }) => total + values[i]!, 0));
      expect(sum.weightSum).toBe(updates.reduce((total, { weight }) => total + weight, 0));
    }),
  );
});

test('an update that is too short or too long, or has bits behind its end, never ends well', () => {
  const accumulator = new Accumulator({ words: 3, bits: 11 });
  accumulator.add(new Uint8Array(4));
  expect(() => accumulator.endUpdate()).toThrow('end at word 2 of 3');
  accumulator.add(Uint8Array.of(0x40));
  expect(() => accumulator.endUpdate()).toThrow('bits behind the last of 3 words');
  expect(() => accumulator.add(new Uint8Array(1))).toThrow('goes on behind word 3');
});

test('after decoding, every coordinate is within the rounding bound of the float64 mean', () => {
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
        const encoding = encodingOf(values, { maximum: 20, clipNormL2, weightCap });
        const accumulator = new Accumulator(encoding.offered);
        const mean = new Float64Array(values);
        let weightSum = 0;
        for (const [n, { delta, examples }] of nodes.entries()) {
          const weight = Math.min(examples, weightCap);
          const x = Float32Array.from(delta);
          const random = createSeededRandom(`${seed}${n}`);
          const input = { clipNormL2, weight, weightCap, rotationSeed: '', random };
          const update = quantizeUpdate(x, encoding.grid, input)!;
          accumulator.add(payloadOf(encoding, update, { weight }));
          accumulator.endUpdate();
          const clip = update.normL2 > clipNormL2 ? clipNormL2 / update.normL2 : 1;
          x.forEach((value, i) => (mean[i]! += weight * value * clip));
          weightSum += weight;
        }
        const decoded = decodeSum(encoding, accumulator.sum(), { rotationSeed: '', nodes: nodes.length });
        expect(decoded.weightSum).toBe(weightSum);
        // Stochastic rounding moves a coordinate by less than one unit of 1/s · w_max/Σw for each node.
        const bound = (nodes.length * weightCap) / (encoding.grid.scale * weightSum);
        for (let i = 0; i < values; i++) {
          expect(Math.abs(decoded.meanDelta[i]! - mean[i]! / weightSum)).toBeLessThanOrEqual(
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
    const encoding = encodingOf(previous.length, { maximum: 3, clipNormL2, weightCap });
    const updates = deltas.map((delta, i) => {
      const weight = weights[i]!;
      const input = { clipNormL2, weight, weightCap, rotationSeed: '', random: createSeededRandom(`${i}`) };
      return payloadOf(encoding, quantizeUpdate(delta, encoding.grid, input)!, { weight });
    });
    const { next } = await aggregator.aggregate({
      encoding,
      rotationSeed: '',
      sums: [{ nodes: 3, updates: updates.map((bytes) => stream(bytes)) }],
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
    const bound = (3 * weightCap) / (encoding.grid.scale * 17);
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
  const encoding = encodingOf(values, { maximum: 5, weightCap: 5 });
  const updates = Array.from({ length: 5 }, (_, i) =>
    packed(
      encoding,
      Array.from({ length: values }, () => random.integer(1000) - 500),
      i + 1,
    ),
  );
  const job = (list: readonly Uint8Array[]) => ({
    encoding,
    rotationSeed: '',
    sums: [{ nodes: list.length, updates: list.map((bytes) => stream(bytes, 65_537)) }],
    server: { optimizer: 'fedavgm', learningRate: 1, momentum: 0.9 } as const,
    previous: new Float32Array(values).fill(0.5),
    momentum: undefined,
  });
  const one = await aggregator.aggregate(job(updates));
  await expect(aggregator.aggregate(job([updates[0]!.subarray(4)]))).rejects.toThrow('packed words end at');
  const other = await aggregator.aggregate(job(updates.toReversed()));
  expect(one.weightSum).toBe(15);
  expect(Buffer.from(one.next.buffer).equals(Buffer.from(other.next.buffer))).toBe(true);
  expect(other.momentum).toEqual(one.momentum);
});

describe('sums of shards', () => {
  const values = 64;
  const clipNormL2 = 1;
  const server = { optimizer: 'fedavg', learningRate: 1, momentum: 0 } as const;
  const encoding = encodingOf(values, { maximum: 40, clipNormL2, weighting: 'uniform' });
  const { coordinateCap } = encoding.grid;
  const { words: length, bits } = encoding.offered;
  const honest = (node: number, width = 1): Uint8Array => {
    const random = createSeededRandom(`honest ${node}`);
    const delta = Float32Array.from({ length: values }, () => width * (random.uniform() - 0.5));
    const update = quantizeUpdate(delta, encoding.grid, {
      clipNormL2,
      weight: 1,
      weightCap: 1,
      rotationSeed: '',
      random,
    })!;
    return payloadOf(encoding, update, { weight: 1 });
  };
  /** What no node that keeps to the protocol sends. */
  const poisoned = (coordinates: (place: number) => number, weight = 1): Uint8Array => {
    const words = secagg.ringWords(bits, length);
    for (let place = 0; place < values; place++) words[place] = coordinates(place);
    words[values] = weight;
    secagg.reduceWords(words, bits);
    return secagg.packWords(words, bits);
  };
  const aggregate = (...shards: (readonly Uint8Array[])[]) => aggregateBy(undefined, shards);
  const aggregateBy = (trimShare: number | undefined, shards: readonly (readonly Uint8Array[])[]) =>
    aggregator.aggregate({
      encoding,
      trimShare,
      rotationSeed: '',
      // Masks that cancel, so that the sums are those of mode secure.
      sums: shards.map((shard) => ({
        nodes: shard.length,
        updates: shard.map((bytes) => stream(bytes)),
        masks: ([1, -1] as const).map((sign) => ({ seed: new Uint8Array(32), sign })),
      })),
      server,
      previous: new Float32Array(values),
      momentum: undefined,
    });
  const some = (from: number, count: number, width?: number): Uint8Array[] =>
    Array.from({ length: count }, (_, k) => honest(from + k, width));

  test('add up to the very bits of one sum, whatever the shards', async () => {
    const { next, weightSum } = await aggregate(some(0, 12));
    const apart = await aggregate(some(0, 5), some(5, 4), some(9, 3));
    expect(apart).toMatchObject({ weightSum: 12 });
    expect(weightSum).toBe(12);
    expect(apart.next).toEqual(next);
    expect(apart.refused).toBeUndefined();
  });

  test.each([
    [
      'a coordinate beyond what all could reach',
      poisoned((place) => (place === 3 ? 30 * coordinateCap : 0)),
      'stay within',
    ],
    ['a weight that is not its due', poisoned(() => 0, 7), 'weights of 5 updates add up to 11, honest ones to 5 … 5'],
    ['a delta much longer than the clip norm', poisoned(() => 4 * coordinateCap), 'units long'],
  ])('leave out the shard of a member that sends %s, and name it', async (_, poison, because) => {
    const clean = await aggregate(some(0, 5), some(9, 5));
    const { next, weightSum, refused } = await aggregate(some(0, 5), [...some(5, 4), poison], some(9, 5));
    expect(refused).toEqual([{ sum: 1, because: expect.stringContaining(because) }]);
    expect(weightSum).toBe(10);
    expect(next).toEqual(clean.next);
    // of a single session nothing is left
    await expect(aggregate([...some(5, 4), poison])).rejects.toMatchObject({
      code: 'WEFT_SUM_REFUSED',
      message: expect.stringContaining(because),
    });
  });

  describe('whose trimmed mean is taken', () => {
    // A fifth of the clip norm long: what makes a shard stand out.
    const shards = Array.from({ length: 6 }, (_, shard) => some(3 * shard, 2 + (shard % 2), 0.1));
    /** Within the range, and no longer than three honest updates: its shard stands the test. */
    const withinReach = poisoned(() => Math.floor((2 * coordinateCap) / Math.sqrt(values)));
    const meanOf = (shard: readonly Uint8Array[]): Float32Array => {
      const accumulator = new Accumulator(encoding.offered);
      for (const update of shard) {
        accumulator.add(update);
        accumulator.endUpdate();
      }
      return Float32Array.from(
        decodeSum(encoding, accumulator.sum(), { nodes: shard.length, rotationSeed: '' }).meanDelta,
      );
    };
    const bytesOf = ({ next }: { next: Float32Array }): Buffer => Buffer.from(next.buffer);

    test.each([
      [0, 1],
      [0.2, 1],
      [0.34, 2],
      [0.49, 2],
    ])('leave out the share %d, which is %d at each end', async (trimShare, cut) => {
      const { next, weightSum, refused } = await aggregateBy(trimShare, shards);
      const means = shards.map(meanOf);
      const expected = Float32Array.from({ length: values }, (_, k) => {
        const kept = means
          .map((mean) => mean[k]!)
          .toSorted((a, b) => a - b)
          .slice(cut, -cut);
        return kept.reduce((sum, value) => sum + value, 0) / kept.length;
      });
      expect(next).toEqual(expected);
      expect(weightSum).toBe(15);
      expect(refused).toBeUndefined();
    });

    test('give the same bits in any order', async () => {
      const one = await aggregateBy(0.2, shards);
      for (const order of [shards.toReversed(), [...shards.slice(2), ...shards.slice(0, 2)]])
        expect(bytesOf(await aggregateBy(0.2, order)).equals(bytesOf(one))).toBe(true);
    });

    test('leave a poisoned shard out that stands the test: each coordinate lies among honest means', async () => {
      const spoiled = shards.with(3, [...shards[3]!.slice(1), withinReach]);
      const honestMeans = shards.filter((_, shard) => shard !== 3).map(meanOf);
      const isAmong = (value: number, k: number): boolean =>
        value >= Math.min(...honestMeans.map((mean) => mean[k]!)) &&
        value <= Math.max(...honestMeans.map((mean) => mean[k]!));
      const trimmed = await aggregateBy(0.2, spoiled);
      expect(trimmed.refused).toBeUndefined();
      expect(trimmed.next.every(isAmong)).toBe(true);
      const added = await aggregate(...spoiled);
      expect(added.refused).toBeUndefined();
      const clean = await aggregate(...shards);
      const moved = (next: Float32Array): number => Math.hypot(...next.map((value, k) => value - clean.next[k]!));
      expect(moved(trimmed.next)).toBeLessThan(moved(added.next) / 2);
    });

    test('are refused first, and what is left is trimmed; of fewer than five nothing is made', async () => {
      const tooLong = poisoned(() => 4 * coordinateCap);
      const { refused, next } = await aggregateBy(0.2, shards.with(4, [...shards[4]!.slice(1), tooLong]));
      expect(refused).toEqual([{ sum: 4, because: expect.stringContaining('stay within') }]);
      expect(next).toEqual((await aggregateBy(0.2, shards.toSpliced(4, 1))).next);
      await expect(aggregateBy(0.2, shards.slice(0, 4))).rejects.toMatchObject({
        code: 'WEFT_SHARDS_TOO_FEW',
        message: '4 of 4 sums of shards are left, and their trimmed mean takes 5',
      });
      const two = shards.map((shard, place) => (place < 2 ? [...shard.slice(1), tooLong] : shard));
      await expect(aggregateBy(0.2, two)).rejects.toMatchObject({ code: 'WEFT_SHARDS_TOO_FEW' });
      // and a job after it begins anew
      expect((await aggregateBy(0.2, shards.toSpliced(4, 1))).next).toEqual(next);
    });
  });

  test('of honest updates hold, each at the largest, as many as there may be', () => {
    const most = poisoned(() => Math.floor(coordinateCap / Math.sqrt(values)));
    const sum = secagg.ringWords(bits, length);
    for (let node = 0; node < 40; node++) addToRing(sum, secagg.unpackWords(most, length, bits)!);
    secagg.reduceWords(sum, bits);
    expect(faultOfSum(encoding, sum, 40)).toBeUndefined();
  });
});

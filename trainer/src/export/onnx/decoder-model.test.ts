import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAdapterLayout, loraTargets } from '@weft/shared';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { modelOnDisk, wave } from '../../../test/tiny-model.ts';
import { elementCount } from '../../graph/shape.ts';
import type { ModelConfig } from '../../models/model.ts';
import { parseConfigJson } from '../../weights/config-json.ts';
import { mergedRows } from '../merge-weights.ts';
import { decoderModel } from './decoder-model.ts';
import { type OnnxDtype, placeWeights, writeWeights } from './weight-file.ts';

interface Expected {
  readonly logits: readonly (readonly number[])[];
}

/** What transformers and PEFT say about a tiny model of each family in float64 (trainer/test/golden/make-families.py). */
const golden = JSON.parse(readFileSync(new URL('../../../test/golden/families.json', import.meta.url), 'utf8')) as {
  rank: number;
  alpha: number;
  row: number[];
  cases: Record<
    string,
    { configJson: string; shapes: Record<string, number[]>; full: Expected; lora: Expected & { gradients: object } }
  >;
};

const int64 = (rows: readonly (readonly number[])[]): Tensor =>
  new Tensor('int64', BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0]?.length ?? 0]);

interface Batch {
  readonly ids: readonly (readonly number[])[];
  /** Over past and present. */
  readonly kept: readonly (readonly number[])[];
  readonly positions: readonly (readonly number[])[];
}

/** Runs a batch after a past, if there is one; the outputs hold the next past. */
function run(
  session: InferenceSession,
  config: ModelConfig,
  { ids, kept, positions }: Batch,
  past?: InferenceSession.ReturnType,
) {
  const feeds: Record<string, Tensor> = {
    input_ids: int64(ids),
    attention_mask: int64(kept),
    position_ids: int64(positions),
  };
  const empty = new Tensor('float32', new Float32Array(), [ids.length, config.kvHeads, 0, config.headDim]);
  for (let layer = 0; layer < config.layers; layer++) {
    for (const kind of ['key', 'value'])
      feeds[`past_key_values.${layer}.${kind}`] = past?.[`present.${layer}.${kind}`] ?? empty;
  }
  return session.run(feeds);
}

const valuesOf = (outputs: InferenceSession.ReturnType): Float32Array => outputs['logits']?.data as Float32Array;

const largestError = (is: ArrayLike<number>, expected: readonly number[]): number =>
  Math.max(...expected.map((value, i) => Math.abs(value - (is[i] ?? Number.NaN))));

const upTo = (count: number, first = 0): number[] => Array.from({ length: count }, (_, i) => first + i);
const ones = (count: number): number[] => upTo(count).map(() => 1);

describe.each(Object.entries(golden.cases))('%s as ONNX', (_, expected) => {
  const { config } = parseConfigJson(expected.configJson);
  const { row } = golden;
  const weights = new Map(
    Object.entries(expected.shapes).map(([name, dims], index) => {
      const vector = dims.length === 1;
      return [name, wave(elementCount(dims), index, vector ? 0.1 : 0.4, vector ? 1 : 0)];
    }),
  );

  async function opened(
    use: (session: InferenceSession) => Promise<void>,
    options: { adapted?: boolean; dtype?: OnnxDtype } = {},
  ) {
    using model = modelOnDisk(config, weights, 'F32');
    const layout = createAdapterLayout(config, { rank: golden.rank, alpha: golden.alpha, targets: loraTargets });
    const order = Object.keys(expected.lora.gradients);
    const adapter = new Float32Array(layout.size);
    for (const { name, shape, offset } of layout.tensors)
      adapter.set(wave(elementCount(shape), 100 + order.indexOf(name), 0.3), offset);
    const folder = await mkdtemp(join(tmpdir(), 'weft-onnx-'));
    try {
      const placed = placeWeights(config, 'model.onnx_data', options.dtype ?? 'F32');
      await writeFile(join(folder, 'model.onnx'), decoderModel(config, placed, {}));
      const rows = mergedRows(options.adapted ? { layout, adapter } : undefined);
      await writeWeights(join(folder, 'model.onnx_data'), placed, model.tensors, rows);
      const session = await InferenceSession.create(join(folder, 'model.onnx'), { intraOpNumThreads: 1 });
      try {
        await use(session);
      } finally {
        await session.release();
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  it('has the logits of transformers', () =>
    opened(async (session) => {
      const whole = { ids: [row], kept: [ones(row.length)], positions: [upTo(row.length)] };
      expect(largestError(valuesOf(await run(session, config, whole)), expected.full.logits.flat())).toBeLessThan(1e-4);
    }));

  it('has the logits of PEFT where an adapter is merged, from half the row and then the rest', () =>
    opened(
      async (session) => {
        const cut = 7;
        const start = { ids: [row.slice(0, cut)], kept: [ones(cut)], positions: [upTo(cut)] };
        const past = await run(session, config, start);
        const rest = { ids: [row.slice(cut)], kept: [ones(row.length)], positions: [upTo(row.length - cut, cut)] };
        const logits = [...valuesOf(past), ...valuesOf(await run(session, config, rest, past))];
        expect(largestError(logits, expected.lora.logits.flat())).toBeLessThan(1e-4);
      },
      { adapted: true },
    ));

  it('has the same logits in a batch, behind padding', () =>
    opened(async (session) => {
      const padding = upTo(5).map(() => 0);
      const batch = {
        ids: [
          [...padding, ...row],
          [...row, ...padding],
        ],
        kept: [
          [...padding, ...ones(row.length)],
          [...ones(row.length), ...padding],
        ],
        positions: [[...padding, ...upTo(row.length)], upTo(row.length + padding.length)],
      };
      const logits = valuesOf(await run(session, config, batch));
      const rowValues = row.length * config.vocabSize;
      const padded = padding.length * config.vocabSize;
      expect(largestError(logits.subarray(padded, padded + rowValues), expected.full.logits.flat())).toBeLessThan(1e-4);
      const second = logits.subarray(padded + rowValues, padded + 2 * rowValues);
      expect(largestError(second, expected.full.logits.flat())).toBeLessThan(1e-4);
    }));

  it('has nearly the same logits from weights of half the size', () =>
    opened(
      async (session) => {
        const whole = { ids: [row], kept: [ones(row.length)], positions: [upTo(row.length)] };
        const error = largestError(valuesOf(await run(session, config, whole)), expected.full.logits.flat());
        expect(error).toBeLessThan(0.05);
        expect(error).toBeGreaterThan(1e-5);
      },
      { dtype: 'F16' },
    ));
});

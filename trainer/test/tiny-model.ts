import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type AdapterLayout, createAdapterLayout, loraTargets } from '@weft/shared';
import { elementCount } from '../src/graph/shape.ts';

import type { Model, ModelConfig } from '../src/models/model.ts';
import { weightShapes } from '../src/models/weight-shapes.ts';
import { toBytes } from '../src/weights/half.ts';
import type { TensorDtype, TensorRef } from '../src/weights/tensor-ref.ts';

type Named = Readonly<Record<string, readonly number[]>>;
interface Gradients {
  readonly loss: number;
  readonly gradients: Named;
}
interface Steps {
  readonly losses: readonly number[];
  readonly final: Named;
}

/** What transformers and PEFT say about a tiny Llama in float64 (golden/make-llama.py). */
export const golden = JSON.parse(readFileSync(new URL('golden/llama.json', import.meta.url), 'utf8')) as {
  config: Omit<ModelConfig, 'family' | 'tieWordEmbeddings'>;
  rank: number;
  alpha: number;
  rows: { inputIds: number[]; labels: number[] }[];
  options: { steps: number; learningRate: number; warmupSteps: number; weightDecay: number; clipGradNorm: number };
  lora: { untied: Gradients; steps: Steps };
  full: { untied: Gradients; tied: Gradients; steps: Steps };
};

export const tinyConfig = (tied: boolean): ModelConfig => ({
  ...golden.config,
  family: 'llama',
  tieWordEmbeddings: tied,
});

export const tinyExamples = golden.rows.map(({ inputIds, labels }) => ({
  inputIds: Int32Array.from(inputIds),
  labels: Int32Array.from(labels),
}));

/** The same numbers as in golden/make-llama.py. */
export const wave = (count: number, seed: number, scale: number, offset = 0): Float32Array =>
  Float32Array.from(
    { length: count },
    (_, i) => offset + scale * Math.sin(1.7 * i * (1 + 0.01 * i) + 2.3 * seed + 0.4),
  );

export function tinyWeights(tied: boolean): Map<string, Float32Array> {
  const order = Object.keys(golden.full[tied ? 'tied' : 'untied'].gradients);
  const shapes = weightShapes(tinyConfig(tied));
  return new Map(
    order.map((name, index) => {
      const shape = shapes.get(name) ?? [];
      const isNorm = shape.length === 1;
      return [name, wave(elementCount(shape), index, isNorm ? 0.1 : 0.4, isNorm ? 1 : 0)];
    }),
  );
}

export const tinyLayout = (): AdapterLayout =>
  createAdapterLayout(tinyConfig(false), { rank: golden.rank, alpha: golden.alpha, targets: loraTargets });

export function tinyAdapter(layout: AdapterLayout): Float32Array {
  const order = Object.keys(golden.lora.untied.gradients);
  const values = new Float32Array(layout.size);
  for (const { name, shape, offset } of layout.tensors) {
    values.set(wave(shape[0] * shape[1], 100 + order.indexOf(name), 0.3), offset);
  }
  return values;
}

/** The tiny model as a file of weights. */
export const tinyModel = (tied: boolean, dtype: TensorDtype = 'F32'): ModelOnDisk =>
  modelOnDisk(tinyConfig(tied), tinyWeights(tied), dtype);

export type ModelOnDisk = Pick<Model, 'config' | 'tensors'> & Disposable;

/** Weights in a file, at odd offsets; removed when disposed. */
export function modelOnDisk(
  config: ModelConfig,
  weights: ReadonlyMap<string, Float32Array>,
  dtype: TensorDtype,
): ModelOnDisk {
  const folder = mkdtempSync(path.join(tmpdir(), 'weft-tiny-'));
  const file = path.join(folder, 'model.safetensors');
  const shapes = weightShapes(config);
  const tensors = new Map<string, TensorRef>();
  const parts: Buffer[] = [Buffer.alloc(13)];
  let offset = 13;
  for (const [name, values] of weights) {
    const bytes = Buffer.from(toBytes(values, dtype));
    tensors.set(name, { name, dtype, shape: shapes.get(name) ?? [], file, offset, sizeBytes: bytes.length });
    parts.push(bytes);
    offset += bytes.length;
  }
  writeFileSync(file, Buffer.concat(parts));
  return { config, tensors, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

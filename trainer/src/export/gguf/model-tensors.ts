import { families } from '../../models/families.ts';
import type { Model, ModelConfig } from '../../models/model.ts';
import { toGgufRows } from '../../weights/gguf/head-rows.ts';
import { quantiseQ8 } from '../../weights/gguf/quantise.ts';
import { toGgufName } from '../../weights/gguf/tensor-names.ts';
import { ggufTensorTypes } from '../../weights/gguf/tensor-types.ts';
import type { GgufTensorToWrite } from '../../weights/gguf/write.ts';
import { toBytes } from '../../weights/half.ts';
import type { TensorRef } from '../../weights/tensor-ref.ts';
import { type MergedRows, narrowed } from '../merge-weights.ts';
import { ropeDivisors } from './model-metadata.ts';

export type GgufDtype = 'F32' | 'F16' | 'Q8_0';

/** All tensors under llama.cpp's names; what is no matrix stays float32, as llama.cpp wants it. */
export function modelTensors({ config, tensors }: Model, rows: MergedRows, dtype: GgufDtype): GgufTensorToWrite[] {
  const divisors = ropeDivisors(config);
  return [
    ...(divisors ? [ropeTensor(divisors)] : []),
    ...[...tensors.values()].map((ref): GgufTensorToWrite => {
      const type = typeOf(ref, dtype);
      return {
        name: toGgufName(ref.name, families[config.family]),
        type,
        shape: ref.shape,
        data: () => inGgufOrder(ref, config, rows, type),
      };
    }),
  ];
}

const ropeTensor = (divisors: Float32Array): GgufTensorToWrite => ({
  name: 'rope_freqs.weight',
  type: 'F32',
  shape: [divisors.length],
  data: () => [toBytes(divisors, 'F32')],
});

/** As llama.cpp's converter: rows that are no whole blocks stay in half precision. */
function typeOf({ shape }: TensorRef, dtype: GgufDtype): GgufDtype {
  if (shape.length === 1) return 'F32';
  return dtype === 'Q8_0' && (shape.at(-1) ?? 1) % ggufTensorTypes.Q8_0.blockElements !== 0 ? 'F16' : dtype;
}

async function* inGgufOrder(
  ref: TensorRef,
  { family, headDim }: ModelConfig,
  rows: MergedRows,
  type: GgufDtype,
): AsyncGenerator<Uint8Array> {
  const { gguf, centredNorms } = families[family];
  const isPermuted = gguf.interleavesHeads && /\.[qk]_proj\.weight$/.test(ref.name);
  // Rows move only inside their head.
  for await (const values of rows(ref, isPermuted ? { unitRows: headDim } : {})) {
    const ordered = isPermuted ? toGgufRows(values, ref.shape.at(-1) ?? 1, headDim) : values;
    // llama.cpp multiplies by the weight itself
    const gains = centredNorms && ref.name.endsWith('norm.weight') ? ordered.map((value) => value + 1) : ordered;
    yield type === 'Q8_0' ? quantised(ref.name, gains) : narrowed(ref.name, gains, type);
  }
}

/** A block's scale is half precision, a 127th of its largest value. */
function quantised(name: string, values: Float32Array): Uint8Array {
  narrowed(
    name,
    values.map((value) => value / 127),
    'F16',
  );
  return quantiseQ8(values);
}

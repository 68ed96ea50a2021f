import { open } from 'node:fs/promises';
import { type AdapterLayout, type LayoutTensor, WeftError } from '@weft/shared';
import type { LoadedAdapter } from '../adapters/peft-folder.ts';
import type { Model } from '../models/model.ts';
import { bytesPerElement, toBytes, toFloats } from '../weights/half.ts';
import { readInto } from '../weights/safetensors/read.ts';
import type { TensorToWrite } from '../weights/safetensors/write.ts';
import type { TensorDtype, TensorRef } from '../weights/tensor-ref.ts';

/** Values in memory at a time, as float32: 4 MiB. */
const defaultPieceElements = 1024 * 1024;

/** F32, or the type that each tensor of the base has. */
export type MergedDtype = 'f32' | 'base';

interface Factors {
  /** [rank, in] */
  readonly a: Float32Array;
  /** [out, rank] */
  readonly b: Float32Array;
  readonly rank: number;
  readonly scale: number;
}

/** All tensors of the base, those that the adapter adapts with it added; each is read, merged and written in pieces. */
export function mergedTensors(
  { tensors }: Pick<Model, 'tensors'>,
  { layout, adapter }: LoadedAdapter,
  dtype: MergedDtype,
  pieceElements = defaultPieceElements,
): TensorToWrite[] {
  const adapted = factorsByWeight(layout, adapter);
  return [...tensors.values()].map((ref) => {
    const written = dtype === 'f32' ? 'F32' : ref.dtype;
    return {
      name: ref.name,
      dtype: written,
      shape: ref.shape,
      data: () => mergedPieces(ref, adapted.get(ref.name), written, pieceElements),
    };
  });
}

function factorsByWeight(layout: AdapterLayout, adapter: Float32Array): Map<string, Factors> {
  const valuesOf = ({ offset, shape }: LayoutTensor): Float32Array =>
    adapter.subarray(offset, offset + shape[0] * shape[1]);
  const { rank, alpha } = layout;
  const factors = new Map<string, Factors>();
  for (const b of layout.tensors.filter(({ factor }) => factor === 'B')) {
    const a = layout.tensors.find((t) => t.layer === b.layer && t.target === b.target && t.factor === 'A');
    const weight = b.name.replace('base_model.model.', '').replace('.lora_B.weight', '.weight');
    if (a) factors.set(weight, { a: valuesOf(a), b: valuesOf(b), rank, scale: alpha / rank });
  }
  return factors;
}

async function* mergedPieces(
  ref: TensorRef,
  factors: Factors | undefined,
  dtype: TensorDtype,
  pieceElements: number,
): AsyncGenerator<Uint8Array> {
  const columns = ref.shape.at(-1) ?? 1;
  const rows = ref.shape.reduce((a, b) => a * b, 1) / columns;
  const pieceRows = Math.max(1, Math.floor(pieceElements / columns));
  const rowBytes = columns * bytesPerElement[ref.dtype];
  const source = await open(ref.file, 'r');
  try {
    for (let row = 0; row < rows; row += pieceRows) {
      const bytes = new Uint8Array(Math.min(pieceRows, rows - row) * rowBytes);
      await readInto(source, bytes, ref.offset + row * rowBytes);
      if (factors === undefined && dtype === ref.dtype) {
        yield bytes;
        continue;
      }
      const values = toFloats(bytes, ref.dtype); // [rows of this piece, in]
      if (factors) addProduct(values, columns, row, factors);
      const merged = toBytes(values, dtype);
      if (factors) refuseOverflow(ref.name, toFloats(merged, dtype), dtype);
      yield merged;
    }
  } finally {
    await source.close();
  }
}

/**
 * W + (alpha / rank)·B·A (Hu et al. 2021, equation 3) for rows from `firstRow` on, summed in float64 and rounded to
 * float32 once.
 */
function addProduct(values: Float32Array, columns: number, firstRow: number, { a, b, rank, scale }: Factors): void {
  const sums = new Float64Array(columns);
  for (let start = 0, row = firstRow; start < values.length; start += columns, row++) {
    sums.fill(0);
    for (let r = 0; r < rank; r++) {
      const weight = b[row * rank + r] as number;
      const at = r * columns;
      for (let column = 0; column < columns; column++) {
        sums[column] = (sums[column] as number) + weight * (a[at + column] as number);
      }
    }
    for (let column = 0; column < columns; column++) {
      values[start + column] = (values[start + column] as number) + scale * (sums[column] as number);
    }
  }
}

function refuseOverflow(name: string, values: Float32Array, dtype: TensorDtype): void {
  if (values.every((value) => Number.isFinite(value))) return;
  throw new WeftError('WEFT_EXPORT_OVERFLOW', `${name} holds merged values beyond the range of ${dtype}`, {
    tensor: name,
  });
}

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

export interface PieceOptions {
  /** About this many values a piece. */
  readonly pieceElements?: number;
  /** Every piece but the last has a multiple of these rows. */
  readonly unitRows?: number;
}

/** The rows of a weight, merged where the adapter adapts it, piece by piece: [rows of this piece, in]. */
export type MergedRows = (ref: TensorRef, options?: PieceOptions) => AsyncGenerator<Float32Array<ArrayBuffer>>;

/** Without an adapter the rows are the base's. */
export function mergedRows(loaded: LoadedAdapter | undefined): MergedRows {
  const adapted = loaded ? factorsByWeight(loaded.layout, loaded.adapter) : new Map<string, Factors>();
  return async function* (ref, options = {}) {
    const factors = adapted.get(ref.name);
    const columns = ref.shape.at(-1) ?? 1;
    let row = 0;
    for await (const bytes of basePieces(ref, options)) {
      const values = toFloats(bytes, ref.dtype);
      if (factors) {
        addProduct(values, columns, row, factors);
        refuseOverflow(ref.name, values, 'F32');
      }
      row += values.length / columns;
      yield values;
    }
  };
}

/** All tensors of the base, those that the adapter adapts with it added; each is read, merged and written in pieces. */
export function mergedTensors(
  { tensors }: Pick<Model, 'tensors'>,
  loaded: LoadedAdapter | undefined,
  dtype: MergedDtype,
  pieceElements = defaultPieceElements,
): TensorToWrite[] {
  const rows = mergedRows(loaded);
  const adapted = new Set(loaded?.layout.tensors.map((tensor) => weightOf(tensor)));
  return [...tensors.values()].map((ref) => {
    const written = dtype === 'f32' ? 'F32' : ref.dtype;
    const isCopied = written === ref.dtype && !adapted.has(ref.name);
    return {
      name: ref.name,
      dtype: written,
      shape: ref.shape,
      data: () => (isCopied ? basePieces(ref, { pieceElements }) : inType(rows(ref, { pieceElements }), ref, written)),
    };
  });
}

async function* inType(pieces: AsyncIterable<Float32Array>, { name }: TensorRef, dtype: TensorDtype) {
  for await (const values of pieces) yield narrowed(name, values, dtype);
}

/** Bytes of `values` as `dtype`; what is finite stays finite or is refused. */
export function narrowed(name: string, values: Float32Array, dtype: TensorDtype): Uint8Array {
  const bytes = toBytes(values, dtype);
  if (dtype !== 'F32') refuseOverflow(name, toFloats(bytes, dtype), dtype);
  return bytes;
}

/** The Hugging Face name of the weight that a factor adapts. */
const weightOf = ({ name, factor }: LayoutTensor): string =>
  name.replace('base_model.model.', '').replace(`.lora_${factor}.weight`, '.weight');

function factorsByWeight(layout: AdapterLayout, adapter: Float32Array): Map<string, Factors> {
  const valuesOf = ({ offset, shape }: LayoutTensor): Float32Array =>
    adapter.subarray(offset, offset + shape[0] * shape[1]);
  const { rank, alpha } = layout;
  const factors = new Map<string, Factors>();
  for (const b of layout.tensors.filter(({ factor }) => factor === 'B')) {
    const a = layout.tensors.find((t) => t.layer === b.layer && t.target === b.target && t.factor === 'A');
    if (a) factors.set(weightOf(b), { a: valuesOf(a), b: valuesOf(b), rank, scale: alpha / rank });
  }
  return factors;
}

/** Whole rows of the file's bytes. */
async function* basePieces(
  ref: TensorRef,
  { pieceElements = defaultPieceElements, unitRows = 1 }: PieceOptions,
): AsyncGenerator<Uint8Array> {
  const columns = ref.shape.at(-1) ?? 1;
  const rows = ref.shape.reduce((a, b) => a * b, 1) / columns;
  const pieceRows = Math.max(1, Math.floor(pieceElements / columns / unitRows)) * unitRows;
  const rowBytes = columns * bytesPerElement[ref.dtype];
  const source = await open(ref.file, 'r');
  try {
    for (let row = 0; row < rows; row += pieceRows) {
      const bytes = new Uint8Array(Math.min(pieceRows, rows - row) * rowBytes);
      await readInto(source, bytes, ref.offset + row * rowBytes);
      yield bytes;
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
  throw new WeftError('WEFT_EXPORT_OVERFLOW', `${name} holds values beyond the range of ${dtype}`, {
    tensor: name,
  });
}

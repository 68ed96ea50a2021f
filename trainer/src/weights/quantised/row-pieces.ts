import { open } from 'node:fs/promises';
import { bytesPerElement, toFloats } from '../half.ts';
import { readInto } from '../safetensors/read.ts';
import type { TensorRef } from '../tensor-ref.ts';

/** Float32 values in memory at a time: 16 MiB. */
const pieceElements = 4 * 1024 * 1024;

/** Whole rows of a weight in float32, from `firstRow` on. */
export interface RowPiece {
  readonly firstRow: number;
  readonly values: Float32Array;
}

/** A weight [rows, columns] in pieces of whole rows; each call reads the file again. */
export type RowPieces = () => AsyncIterable<RowPiece>;

export const rowPieces = (ref: TensorRef, signal?: AbortSignal): RowPieces =>
  async function* read() {
    const columns = ref.shape.at(-1) ?? 1;
    const rows = ref.shape.reduce((a, b) => a * b, 1) / columns;
    const pieceRows = Math.max(1, Math.floor(pieceElements / columns));
    const rowBytes = columns * bytesPerElement[ref.dtype];
    const source = await open(ref.file, 'r');
    try {
      for (let firstRow = 0; firstRow < rows; firstRow += pieceRows) {
        signal?.throwIfAborted();
        const bytes = new Uint8Array(Math.min(pieceRows, rows - firstRow) * rowBytes);
        await readInto(source, bytes, ref.offset + firstRow * rowBytes);
        yield { firstRow, values: toFloats(bytes, ref.dtype) };
      }
    } finally {
      await source.close();
    }
  };

import { createHash } from 'node:crypto';
import { readSync, writeSync } from 'node:fs';
import { dequantise } from './dequantise.ts';
import { toHuggingFaceRows } from './head-rows.ts';
import { ggufTensorTypes, type GgufTensorType } from './tensor-types.ts';

/*
 * What an unpacking thread does. It imports next to nothing, because a thread pays for its imports anew, and its files
 * are read and written with blocking calls: it has nothing else to do.
 */

/** A tensor of the GGUF and where its float32 values go. */
export interface PackedTensor {
  readonly type: GgufTensorType;
  readonly offset: number;
  readonly rows: number;
  readonly rowElements: number;
  /** Rows of a head where llama.cpp interleaved them; 0 where rows keep their order. */
  readonly headRows: number;
  /** Added to each value: the converter writes norms that multiply by 1 + w with the 1. */
  readonly addend: number;
  readonly targetOffset: number;
}

/** Float32 values at a time: 1 MiB, which stays in a core's own cache between unpacking and writing. */
const pieceElements = 256 * 1024;
const hashPieceBytes = 1024 * 1024;

/** A file that ends before the bytes that its header promised. */
export class FileEnded extends Error {
  readonly at: number;
  constructor(at: number) {
    super(`the file ends at byte ${at}`);
    this.at = at;
  }
}

/** SHA-256 of an open file as hexadecimal digits. */
export function hashWhole(file: number, onBytes: (bytes: number) => void): string {
  const hash = createHash('sha256');
  const piece = new Uint8Array(hashPieceBytes);
  for (let position = 0; ;) {
    const length = readSync(file, piece, 0, piece.length, position);
    if (length === 0) return hash.digest('hex');
    hash.update(piece.subarray(0, length));
    position += length;
    onBytes(length);
  }
}

/** How many rows of a tensor are unpacked at a time: whole heads, since rows move only inside their head. */
const rowsOfPiece = ({ rowElements, headRows }: PackedTensor): number => {
  const unit = Math.max(1, headRows);
  return Math.max(unit, Math.floor(pieceElements / Math.max(1, rowElements) / unit) * unit);
};

/**
 * Unpacks the pieces that `take` numbers, in any order, from `source` to `target`. Threads that share a counter behind
 * `take` share the work.
 */
export function unpackPieces(
  source: number,
  target: number,
  tensors: readonly PackedTensor[],
  take: () => number,
  onBytes: (bytes: number) => void,
): void {
  let next = take();
  let first = 0; // number of the tensor's first piece
  let scratch = new Float32Array(pieceElements);
  for (const tensor of tensors) {
    const { blockElements, blockBytes } = ggufTensorTypes[tensor.type];
    const { rows, rowElements, headRows, addend } = tensor;
    const pieceRows = rowsOfPiece(tensor);
    const rowBytes = (rowElements / blockElements) * blockBytes;
    const after = first + Math.ceil(rows / pieceRows);
    for (; next < after; next = take()) {
      const row = (next - first) * pieceRows;
      const count = Math.min(pieceRows, rows - row);
      const packed = new Uint8Array(count * rowBytes);
      readWhole(source, packed, tensor.offset + row * rowBytes);
      if (scratch.length < count * rowElements) scratch = new Float32Array(count * rowElements);
      const values = scratch.subarray(0, count * rowElements);
      dequantise(tensor.type, headRows > 0 ? toHuggingFaceRows(packed, rowBytes, headRows) : packed, values);
      if (addend !== 0) for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) + addend;
      writeWhole(
        target,
        new Uint8Array(values.buffer, 0, values.byteLength),
        tensor.targetOffset + row * rowElements * 4,
      );
      onBytes(values.byteLength);
    }
    first = after;
  }
}

function readWhole(file: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length;) {
    const length = readSync(file, bytes, done, bytes.length - done, at + done);
    if (length === 0) throw new FileEnded(at + done);
    done += length;
  }
}

function writeWhole(file: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done, bytes.length - done, at + done);
}

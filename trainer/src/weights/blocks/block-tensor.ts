import type { TensorRef } from '../tensor-ref.ts';

/** Neighbours in a row of a matrix that share a scale. */
export const blockLength = 32;

export interface BlockForm {
  readonly bits: 4 | 8;
  /** Each block adds an offset of its own: without one its values lie about zero. */
  readonly hasOffsets: boolean;
}

/** Whole rows of a matrix [rows, columns] in blocks: value = scale·(code − 2^(bits − 1)) + offset. */
export interface Blocks {
  /** [rows, columns·bits/8]; of two codes in a byte the first is the low one, as MatMulNBits wants it. */
  readonly codes: Uint8Array;
  /** [rows, columns/32] */
  readonly scales: Float32Array;
  /** [rows, columns/32] */
  readonly offsets?: Float32Array | undefined;
}

type Window = Pick<TensorRef, 'file' | 'offset' | 'sizeBytes'>;

/** A matrix in blocks, or several that stand below each other, in a file of the cache. */
export interface BlockTensor {
  readonly form: BlockForm;
  /** [out, in] */
  readonly shape: readonly [number, number];
  readonly codes: Window;
  readonly scales: Window;
  /** [in/32, out]: a product's right-hand side. */
  readonly offsets?: Window | undefined;
}

/** What a model has of them: by the matrix's name, or the names of those that are stacked, joined by this. */
export type BlockTensors = ReadonlyMap<string, BlockTensor>;
export const stackKey = (names: readonly string[]): string => names.join('+');
export const namesOfStack = (key: string): readonly string[] => key.split('+');

export const fitsBlocks = (shape: readonly number[]): boolean =>
  shape.length === 2 && (shape[1] ?? 0) > 0 && (shape[1] ?? 0) % blockLength === 0;

/** Element types that a weights file may hold once a GGUF is unpacked. */
export type TensorDtype = 'F32' | 'F16' | 'BF16';

/** Those and the levels of quantised weights, which only files of the cache hold: I8 a weight each, U8 two of 4 bits. */
export type StoredDtype = TensorDtype | 'I8' | 'U8';

/** Where a tensor's bytes lie: a window of a file, never copied. */
export interface TensorRef<Dtype extends StoredDtype = TensorDtype> {
  readonly name: string;
  readonly dtype: Dtype;
  /** Row-major; a linear layer's weight is [out, in]. */
  readonly shape: readonly number[];
  /** Absolute path of the file that holds the bytes. */
  readonly file: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

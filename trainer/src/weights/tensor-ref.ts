/** Element types that a weights file may hold once a GGUF is unpacked. */
export type TensorDtype = 'F32' | 'F16' | 'BF16';

/** Where a tensor's bytes lie: a window of a file, never copied. */
export interface TensorRef {
  readonly name: string;
  readonly dtype: TensorDtype;
  /** Row-major; a linear layer's weight is [out, in]. */
  readonly shape: readonly number[];
  /** Absolute path of the file that holds the bytes. */
  readonly file: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

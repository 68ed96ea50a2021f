/** Fills `out` from bytes that hold as many whole blocks as it takes. */
export type Kernel = (bytes: Uint8Array, out: Float32Array) => void;

/** The half-precision number at a byte, by the table of all of them (halfToFloat). */
export const halfAt = (bytes: Uint8Array, at: number, table: Float32Array): number =>
  table[(bytes[at] as number) | ((bytes[at + 1] as number) << 8)] as number;

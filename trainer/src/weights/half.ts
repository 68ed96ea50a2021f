import type { StoredDtype, TensorDtype } from './tensor-ref.ts';

/** Conversions between float32 and the two 16-bit formats, and raw bytes of each. */

export const bytesPerElement = { F32: 4, F16: 2, BF16: 2, I8: 1, U8: 1 } as const satisfies Record<StoredDtype, number>;

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** Rounds to nearest, ties to even; NaN stays NaN. */
export function toBf16(value: number): number {
  float[0] = value;
  const bits = word[0] as number;
  if (Number.isNaN(value)) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

let halfTable: Float32Array | undefined;

/** IEEE binary16 → float32, by a table of all 65,536 values that is made at first use. */
export function halfToFloat(): Float32Array {
  if (halfTable === undefined) {
    const table = new Float32Array(65_536);
    const view = new DataView(new ArrayBuffer(2));
    for (let bits = 0; bits < 65_536; bits++) {
      view.setUint16(0, bits);
      table[bits] = view.getFloat16(0);
    }
    halfTable = table;
  }
  return halfTable;
}

/** Little-endian bytes of `values` as `dtype`. */
export function toBytes(values: Float32Array, dtype: TensorDtype): Uint8Array {
  if (dtype === 'F32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const bits = new Uint16Array(values.length);
  if (dtype === 'BF16') {
    for (let i = 0; i < values.length; i++) bits[i] = toBf16(values[i] as number);
  } else {
    const view = new DataView(bits.buffer);
    for (let i = 0; i < values.length; i++) view.setFloat16(2 * i, values[i] as number, true);
  }
  return new Uint8Array(bits.buffer);
}

/** Float32 values of little-endian `bytes` that hold `dtype`; always a fresh array. */
export function toFloats(bytes: Uint8Array, dtype: TensorDtype): Float32Array<ArrayBuffer> {
  const copy = bytes.slice();
  if (dtype === 'F32') return new Float32Array(copy.buffer);
  const bits = new Uint16Array(copy.buffer);
  const values = new Float32Array(bits.length);
  if (dtype === 'F16') {
    const table = halfToFloat();
    for (let i = 0; i < bits.length; i++) values[i] = table[bits[i] as number] as number;
  } else {
    const words = new Uint32Array(values.buffer);
    for (let i = 0; i < bits.length; i++) words[i] = (bits[i] as number) << 16;
  }
  return values;
}

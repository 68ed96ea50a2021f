import { halfToFloat } from '../half.ts';
import { ggufTensorTypes, type GgufTensorType } from './tensor-types.ts';

/**
 * Fills `out` from `bytes` that hold whole blocks of `type`. Formulas: ggml-quants.c, dequantize_row_*.
 * A product of an 11-bit scale and a 4- or 8-bit value is exact in float32, so each result is rounded at most once
 * and equals llama.cpp's and the Python package's bit for bit.
 */
export function dequantise(type: GgufTensorType, bytes: Uint8Array, out: Float32Array): void {
  const { blockElements, blockBytes } = ggufTensorTypes[type];
  if (bytes.length * blockElements !== out.length * blockBytes)
    throw new RangeError(`${bytes.length} bytes of ${type} do not fill ${out.length} values`);
  kernels[type](bytes, out);
}

const half = (bytes: Uint8Array, at: number, table: Float32Array): number =>
  table[(bytes[at] as number) | ((bytes[at + 1] as number) << 8)] as number;

const kernels: Readonly<Record<GgufTensorType, (bytes: Uint8Array, out: Float32Array) => void>> = {
  F32(bytes, out) {
    new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(bytes);
  },
  F16(bytes, out) {
    const table = halfToFloat();
    for (let i = 0; i < out.length; i++) out[i] = half(bytes, 2 * i, table);
  },
  BF16(bytes, out) {
    const words = new Uint32Array(out.buffer, out.byteOffset, out.length);
    for (let i = 0; i < words.length; i++)
      words[i] = ((bytes[2 * i] as number) << 16) | ((bytes[2 * i + 1] as number) << 24);
  },
  Q8_0(bytes, out) {
    const table = halfToFloat();
    const signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let block = 0, at = 0; block < out.length; block += 32, at += 34) {
      const d = half(bytes, at, table);
      for (let j = 0; j < 32; j++) out[block + j] = d * (signed[at + 2 + j] as number);
    }
  },
  Q4_0(bytes, out) {
    const table = halfToFloat();
    for (let block = 0, at = 0; block < out.length; block += 32, at += 18) {
      const d = half(bytes, at, table);
      for (let j = 0; j < 16; j++) {
        const pair = bytes[at + 2 + j] as number;
        out[block + j] = d * ((pair & 15) - 8);
        out[block + 16 + j] = d * ((pair >> 4) - 8);
      }
    }
  },
  Q4_1(bytes, out) {
    const table = halfToFloat();
    for (let block = 0, at = 0; block < out.length; block += 32, at += 20) {
      const d = half(bytes, at, table);
      const m = half(bytes, at + 2, table);
      for (let j = 0; j < 16; j++) {
        const pair = bytes[at + 4 + j] as number;
        out[block + j] = d * (pair & 15) + m;
        out[block + 16 + j] = d * (pair >> 4) + m;
      }
    }
  },
};

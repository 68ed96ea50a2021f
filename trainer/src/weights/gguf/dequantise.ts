import { halfToFloat } from '../half.ts';
import { halfAt, type Kernel } from './kernel.ts';
import { smallBlocks } from './small-blocks.ts';
import { superBlocks } from './super-blocks.ts';
import { ggufTensorTypes, type GgufTensorType } from './tensor-types.ts';

/**
 * Fills `out` from `bytes` that hold whole blocks of `type`. Formulas: ggml-quants.c, dequantize_row_*.
 * The products of a half-precision scale, a block's own small integer scale and a quantised value have at most 24
 * significant bits, so they are exact in float32; each result is rounded at most once, in the last subtraction or
 * addition, and equals llama.cpp's and the Python package's bit for bit.
 */
export function dequantise(type: GgufTensorType, bytes: Uint8Array, out: Float32Array): void {
  const { blockElements, blockBytes } = ggufTensorTypes[type];
  if (bytes.length * blockElements !== out.length * blockBytes)
    throw new RangeError(`${bytes.length} bytes of ${type} do not fill ${out.length} values`);
  kernels[type](bytes, out);
}

const kernels: Readonly<Record<GgufTensorType, Kernel>> = {
  F32(bytes, out) {
    new Uint8Array(out.buffer, out.byteOffset, out.byteLength).set(bytes);
  },
  F16(bytes, out) {
    const table = halfToFloat();
    for (let i = 0; i < out.length; i++) out[i] = halfAt(bytes, 2 * i, table);
  },
  BF16(bytes, out) {
    const words = new Uint32Array(out.buffer, out.byteOffset, out.length);
    for (let i = 0; i < words.length; i++)
      words[i] = ((bytes[2 * i] as number) << 16) | ((bytes[2 * i + 1] as number) << 24);
  },
  ...smallBlocks,
  ...superBlocks,
};

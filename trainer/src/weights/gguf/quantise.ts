import { ggufTensorTypes } from './tensor-types.ts';

const { blockElements, blockBytes } = ggufTensorTypes.Q8_0;

/**
 * Blocks of 32 values as one f16 scale d = max|x| / 127 and 32 signed bytes round(x / d), in float32 and rounded away
 * from zero, as ggml-quants.c, quantize_row_q8_0_ref does it: the same bytes.
 * @param values whole blocks
 */
export function quantiseQ8(values: Float32Array): Uint8Array {
  const blocks = values.length / blockElements;
  if (!Number.isInteger(blocks)) throw new RangeError(`${values.length} values are no whole blocks`);
  const bytes = new Uint8Array(blocks * blockBytes);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < blocks; block++) {
    const [first, at] = [block * blockElements, block * blockBytes];
    let largest = 0;
    for (let i = 0; i < blockElements; i++) largest = Math.max(largest, Math.abs(values[first + i] as number));
    const scale = Math.fround(largest / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    view.setFloat16(at, scale, true);
    for (let i = 0; i < blockElements; i++) {
      const scaled = Math.fround((values[first + i] as number) * inverse);
      view.setInt8(at + 2 + i, Math.sign(scaled) * Math.floor(Math.abs(scaled) + 0.5));
    }
  }
  return bytes;
}

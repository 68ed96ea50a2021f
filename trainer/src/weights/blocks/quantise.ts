import { quantiseQ8 } from '../gguf/quantise.ts';
import { type BlockForm, blockLength, type Blocks } from './block-tensor.ts';
import { repackQ8 } from './gguf-blocks.ts';

/** Rounds values to blocks about zero. */
export const quantiseBlocks = (values: Float32Array, bits: BlockForm['bits']): Blocks =>
  bits === 8 ? repackQ8(quantiseQ8(values)) : quantiseToFour(values);

/** The value of largest magnitude becomes −8, so that all sixteen codes are used (ggml-quants.c, quantize_row_q4_0_ref). */
function quantiseToFour(values: Float32Array): Blocks {
  const count = values.length / blockLength;
  const scales = new Float32Array(count);
  const codes = new Uint8Array(values.length / 2);
  for (let block = 0; block < count; block++) {
    const start = block * blockLength;
    let extreme = 0;
    for (let i = start; i < start + blockLength; i++) {
      const value = values[i] as number;
      if (Math.abs(value) > Math.abs(extreme)) extreme = value;
    }
    const scale = -extreme / 8;
    scales[block] = scale;
    const inverse = scale === 0 ? 0 : 1 / scale;
    const code = (i: number): number => Math.max(0, Math.min(15, Math.round((values[i] as number) * inverse) + 8));
    for (let i = start; i < start + blockLength; i += 2) codes[i >> 1] = code(i) | (code(i + 1) << 4);
  }
  return { codes, scales };
}

import type { Blocks } from '../src/weights/blocks/block-tensor.ts';

/** What blocks of 32 stand for: scale·(code − 2^(bits − 1)) + offset, in float32. */
export function valuesOfBlocks({ codes, scales, offsets }: Blocks, bits: 4 | 8): Float32Array {
  const values = new Float32Array((codes.length * 8) / bits);
  return values.map((_, index) => {
    const byte = codes[bits === 8 ? index : index >> 1] ?? 0;
    const code = bits === 8 ? byte : index % 2 === 0 ? byte & 15 : byte >> 4;
    const block = Math.floor(index / 32);
    return (scales[block] ?? 0) * (code - 2 ** (bits - 1)) + (offsets?.[block] ?? 0);
  });
}

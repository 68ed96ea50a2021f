import { halfToFloat } from '../half.ts';
import { halfAt } from '../gguf/kernel.ts';
import { minimumOf, scaleOf } from '../gguf/super-blocks.ts';
import type { GgufTensorType } from '../gguf/tensor-types.ts';
import { type BlockForm, blockLength, type Blocks } from './block-tensor.ts';

export interface Repacking {
  readonly form: BlockForm;
  /** From whole blocks of the file to the same values in blocks of ours. */
  repack(bytes: Uint8Array): Blocks;
}

/** The types of a GGUF whose values are blocks of ours without a rounding, or with the last bit of an offset. */
export const repackings: Partial<Readonly<Record<GgufTensorType, Repacking>>> = {
  Q8_0: {
    form: { bits: 8, hasOffsets: false },
    repack: repackQ8,
  },
  Q4_0: {
    form: { bits: 4, hasOffsets: false },
    repack(bytes) {
      const { table, count, codes, scales } = room(bytes, 18, 4);
      for (let block = 0; block < count; block++) {
        scales[block] = halfAt(bytes, block * 18, table);
        pairNeighbours(bytes, block * 18 + 2, codes, block * 16);
      }
      return { codes, scales };
    },
  },
  Q4_1: {
    form: { bits: 4, hasOffsets: true },
    repack(bytes) {
      const { table, count, codes, scales } = room(bytes, 20, 4);
      const offsets = new Float32Array(count);
      for (let block = 0; block < count; block++) {
        const scale = halfAt(bytes, block * 20, table);
        scales[block] = scale;
        // d·q + m = d·(q − 8) + (m + 8·d)
        offsets[block] = halfAt(bytes, block * 20 + 2, table) + 8 * scale;
        pairNeighbours(bytes, block * 20 + 4, codes, block * 16);
      }
      return { codes, scales, offsets };
    },
  },
  Q4_K: {
    form: { bits: 4, hasOffsets: true },
    repack(bytes) {
      const count = bytes.length / 144; // of 256 values: eight of our blocks
      const table = halfToFloat();
      const codes = new Uint8Array(count * 128);
      const [scales, offsets] = [new Float32Array(count * 8), new Float32Array(count * 8)];
      for (let part = 0; part < count * 8; part++) {
        const [at, inside] = [(part >> 3) * 144, part & 7];
        const scale = halfAt(bytes, at, table) * scaleOf(bytes, at + 4, inside);
        scales[part] = scale;
        offsets[part] = 8 * scale - halfAt(bytes, at + 2, table) * minimumOf(bytes, at + 4, inside);
        // two parts share 32 bytes: one has the low halves, one the high
        const [from, shift] = [at + 16 + 32 * (inside >> 1), 4 * (inside & 1)];
        const q = (j: number): number => ((bytes[from + j] as number) >> shift) & 15;
        for (let j = 0; j < 16; j++) codes[part * 16 + j] = q(2 * j) | (q(2 * j + 1) << 4);
      }
      return { codes, scales, offsets };
    },
  },
};

export function repackQ8(bytes: Uint8Array): Blocks {
  const { table, count, codes, scales } = room(bytes, 34, 8);
  for (let block = 0; block < count; block++) {
    const from = block * 34;
    scales[block] = halfAt(bytes, from, table);
    // a signed byte plus 128
    for (let j = 0; j < 32; j++) codes[block * 32 + j] = (bytes[from + 2 + j] as number) ^ 0x80;
  }
  return { codes, scales };
}

function room(bytes: Uint8Array, blockBytes: number, bits: BlockForm['bits']) {
  const count = bytes.length / blockBytes;
  const codes = new Uint8Array((count * blockLength * bits) / 8);
  return { table: halfToFloat(), count, codes, scales: new Float32Array(count) };
}

/** llama.cpp puts values j and j + 16 into a byte, MatMulNBits 2j and 2j + 1. */
function pairNeighbours(bytes: Uint8Array, from: number, codes: Uint8Array, to: number): void {
  for (let j = 0; j < 8; j++) {
    const [first, second] = [bytes[from + 2 * j] as number, bytes[from + 2 * j + 1] as number];
    codes[to + j] = (first & 15) | ((second & 15) << 4);
    codes[to + 8 + j] = (first >> 4) | (second & 0xf0);
  }
}

import { halfToFloat } from '../half.ts';
import { halfAt, type Kernel } from './kernel.ts';
import { iq4Values } from './small-blocks.ts';

/** Blocks of 256 values: parts of 16 or 32 have small integer scales of their own under the block's half-precision ones. */
export const superBlocks = {
  Q2_K(bytes, out) {
    const table = halfToFloat();
    for (let block = 0, at = 0; block < out.length; block += 256, at += 84) {
      const d = halfAt(bytes, at + 80, table);
      const dmin = halfAt(bytes, at + 82, table);
      for (let part = 0; part < 16; part++) {
        const pair = bytes[at + part] as number;
        const scale = d * (pair & 15);
        const minimum = dmin * (pair >> 4);
        const [from, shift] = placeOfPart(part);
        for (let j = 0; j < 16; j++) {
          const q = ((bytes[at + 16 + from + j] as number) >> shift) & 3;
          out[block + 16 * part + j] = scale * q - minimum;
        }
      }
    }
  },
  Q3_K(bytes, out) {
    const table = halfToFloat();
    for (let block = 0, at = 0; block < out.length; block += 256, at += 110) {
      const d = halfAt(bytes, at + 108, table);
      for (let part = 0; part < 16; part++) {
        const low = (bytes[at + 96 + (part & 7)] as number) >> (part < 8 ? 0 : 4);
        const high = (bytes[at + 104 + (part & 3)] as number) >> (2 * (part >> 2));
        const scale = d * (((low & 15) | ((high & 3) << 4)) - 32);
        const [from, shift] = placeOfPart(part);
        for (let j = 0; j < 16; j++) {
          const third = ((bytes[at + ((16 * part) & 31) + j] as number) >> (part >> 1)) & 1;
          const q = ((bytes[at + 32 + from + j] as number) >> shift) & 3;
          out[block + 16 * part + j] = scale * (q - 4 + 4 * third);
        }
      }
    }
  },
  Q4_K(bytes, out) {
    const table = halfToFloat();
    for (let block = 0, at = 0; block < out.length; block += 256, at += 144) {
      const d = halfAt(bytes, at, table);
      const dmin = halfAt(bytes, at + 2, table);
      for (let part = 0; part < 8; part++) {
        const scale = d * scaleOf(bytes, at + 4, part);
        const minimum = dmin * minimumOf(bytes, at + 4, part);
        const from = at + 16 + 32 * (part >> 1);
        const shift = 4 * (part & 1);
        const to = block + 32 * part;
        for (let j = 0; j < 32; j++) {
          out[to + j] = scale * (((bytes[from + j] as number) >> shift) & 15) - minimum;
        }
      }
    }
  },
  Q5_K(bytes, out) {
    const table = halfToFloat();
    for (let block = 0, at = 0; block < out.length; block += 256, at += 176) {
      const d = halfAt(bytes, at, table);
      const dmin = halfAt(bytes, at + 2, table);
      for (let part = 0; part < 8; part++) {
        const scale = d * scaleOf(bytes, at + 4, part);
        const minimum = dmin * minimumOf(bytes, at + 4, part);
        const from = at + 48 + 32 * (part >> 1);
        const shift = 4 * (part & 1);
        const to = block + 32 * part;
        for (let j = 0; j < 32; j++) {
          const fifth = ((bytes[at + 16 + j] as number) >> part) & 1;
          const q = (((bytes[from + j] as number) >> shift) & 15) | (fifth << 4);
          out[to + j] = scale * q - minimum;
        }
      }
    }
  },
  Q6_K(bytes, out) {
    const table = halfToFloat();
    const signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let block = 0, at = 0; block < out.length; block += 256, at += 210) {
      const d = halfAt(bytes, at + 208, table);
      for (let part = 0; part < 16; part++) {
        const scale = d * (signed[at + 192 + part] as number);
        // parts of 16 in each half of 128: the lower four in the bytes' lower halves, the upper four in the upper ones
        const half = part >> 3;
        const low = at + 64 * half + ((16 * part) & 63);
        const high = at + 128 + 32 * half + ((16 * part) & 31);
        const lowShift = part & 4;
        const highShift = part & 6;
        for (let j = 0; j < 16; j++) {
          const q =
            (((bytes[low + j] as number) >> lowShift) & 15) | ((((bytes[high + j] as number) >> highShift) & 3) << 4);
          out[block + 16 * part + j] = scale * (q - 32);
        }
      }
    }
  },
  IQ4_XS(bytes, out) {
    const table = halfToFloat();
    for (let block = 0, at = 0; block < out.length; block += 256, at += 136) {
      const d = halfAt(bytes, at, table);
      for (let part = 0; part < 8; part++) {
        const low = (bytes[at + 4 + (part >> 1)] as number) >> (4 * (part & 1));
        const high = (bytes[at + 2 + (part >> 2)] as number) >> (2 * (part & 3));
        const scale = d * (((low & 15) | ((high & 3) << 4)) - 32);
        const to = block + 32 * part;
        for (let j = 0; j < 16; j++) {
          const pair = bytes[at + 8 + 16 * part + j] as number;
          out[to + j] = scale * (iq4Values[pair & 15] as number);
          out[to + 16 + j] = scale * (iq4Values[pair >> 4] as number);
        }
      }
    }
  },
} satisfies Readonly<Record<string, Kernel>>;

/** Q2_K and Q3_K: in each half of 128 values, 32 bytes hold four times 32 values, two bits each. */
const placeOfPart = (part: number): readonly [from: number, shift: number] => [
  32 * (part >> 3) + ((16 * part) & 31),
  part & 6,
];

/** Q4_K and Q5_K: eight 6-bit scales and minima in 12 bytes; the last four have their upper bits with the first four's. */
export const scaleOf = (bytes: Uint8Array, at: number, part: number): number =>
  part < 4
    ? (bytes[at + part] as number) & 63
    : ((bytes[at + part + 4] as number) & 15) | (((bytes[at + part - 4] as number) >> 6) << 4);

export const minimumOf = (bytes: Uint8Array, at: number, part: number): number =>
  part < 4
    ? (bytes[at + part + 4] as number) & 63
    : ((bytes[at + part + 4] as number) >> 4) | (((bytes[at + part] as number) >> 6) << 4);

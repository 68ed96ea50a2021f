import { halfToFloat } from '../half.ts';
import { halfAt, type Kernel } from './kernel.ts';

/** The values that IQ4_NL and IQ4_XS number: denser around zero, as weights are (ggml-common.h, kvalues_iq4nl). */
export const iq4Values = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

/** Blocks of 32 values under one scale. The first 16 are in the bytes' lower halves, the others in the upper ones. */
export const smallBlocks = {
  Q8_0(bytes, out) {
    const table = halfToFloat();
    const signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let block = 0, at = 0; block < out.length; block += 32, at += 34) {
      const d = halfAt(bytes, at, table);
      for (let j = 0; j < 32; j++) out[block + j] = d * (signed[at + 2 + j] as number);
    }
  },
  Q4_0(bytes, out) {
    const table = halfToFloat();
    for (let block = 0, at = 0; block < out.length; block += 32, at += 18) {
      const d = halfAt(bytes, at, table);
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
      const d = halfAt(bytes, at, table);
      const m = halfAt(bytes, at + 2, table);
      for (let j = 0; j < 16; j++) {
        const pair = bytes[at + 4 + j] as number;
        out[block + j] = d * (pair & 15) + m;
        out[block + 16 + j] = d * (pair >> 4) + m;
      }
    }
  },
  Q5_0(bytes, out) {
    const table = halfToFloat();
    for (let block = 0, at = 0; block < out.length; block += 32, at += 22) {
      const d = halfAt(bytes, at, table);
      const high = wordAt(bytes, at + 2);
      for (let j = 0; j < 16; j++) {
        const pair = bytes[at + 6 + j] as number;
        out[block + j] = d * (((pair & 15) | (((high >>> j) & 1) << 4)) - 16);
        out[block + 16 + j] = d * (((pair >> 4) | (((high >>> (j + 16)) & 1) << 4)) - 16);
      }
    }
  },
  Q5_1(bytes, out) {
    const table = halfToFloat();
    for (let block = 0, at = 0; block < out.length; block += 32, at += 24) {
      const d = halfAt(bytes, at, table);
      const m = halfAt(bytes, at + 2, table);
      const high = wordAt(bytes, at + 4);
      for (let j = 0; j < 16; j++) {
        const pair = bytes[at + 8 + j] as number;
        out[block + j] = d * ((pair & 15) | (((high >>> j) & 1) << 4)) + m;
        out[block + 16 + j] = d * ((pair >> 4) | (((high >>> (j + 16)) & 1) << 4)) + m;
      }
    }
  },
  IQ4_NL(bytes, out) {
    const table = halfToFloat();
    for (let block = 0, at = 0; block < out.length; block += 32, at += 18) {
      const d = halfAt(bytes, at, table);
      for (let j = 0; j < 16; j++) {
        const pair = bytes[at + 2 + j] as number;
        out[block + j] = d * (iq4Values[pair & 15] as number);
        out[block + 16 + j] = d * (iq4Values[pair >> 4] as number);
      }
    }
  },
} satisfies Readonly<Record<string, Kernel>>;

const wordAt = (bytes: Uint8Array, at: number): number =>
  (bytes[at] as number) |
  ((bytes[at + 1] as number) << 8) |
  ((bytes[at + 2] as number) << 16) |
  ((bytes[at + 3] as number) << 24);

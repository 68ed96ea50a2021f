import type { RowPieces } from './row-pieces.ts';

/** Weights of a row that share a scale. */
export const int4Block = 32;

/** Weights [out, in] as levels −8 … 7, two in a byte (the first in its low half), and scales [out, in / 32]. */
export interface BlockLevels {
  readonly levels: Uint8Array<ArrayBuffer>;
  readonly scales: Float32Array<ArrayBuffer>;
}

/** A block of weights as small as this is zero to any product; its scale would not be a normal number. */
const smallestWeight = 1e-30;
const rounder = 6755399441055744; // see int8.ts

/**
 * As ggml's Q4_0 chooses them (ggml-quants.c, quantize_row_q4_0_ref): the weight of the largest magnitude, the first
 * one of equals, becomes −8, so scale = weight / −8 and may be negative; level = min(7, round(weight / scale)).
 * The scale stays float32, and is infinite where a weight is not finite.
 */
export async function quantiseInt4(pieces: RowPieces, [out, inner]: readonly [number, number]): Promise<BlockLevels> {
  if (inner % int4Block !== 0) throw new RangeError(`rows of ${inner} weights are no whole blocks of ${int4Block}`);
  const levels = new Uint8Array((out * inner) / 2);
  const scales = new Float32Array((out * inner) / int4Block);
  for await (const { firstRow, values } of pieces()) {
    const first = firstRow * inner;
    for (let block = 0; block < values.length; block += int4Block) {
      let extreme = 0;
      let total = 0;
      for (let i = block; i < block + int4Block; i++) {
        const value = values[i] as number;
        total += Math.abs(value);
        if (Math.abs(value) > Math.abs(extreme)) extreme = value;
      }
      if (!Number.isFinite(total)) extreme = Number.POSITIVE_INFINITY; // NaN is larger than nothing
      const scale = Math.abs(extreme) < smallestWeight ? 1 : Math.fround(extreme / -8);
      scales[(first + block) / int4Block] = scale;
      for (let i = block; i < block + int4Block; i += 2) {
        const low = level(values[i] as number, scale);
        const high = level(values[i + 1] as number, scale);
        levels[(first + i) / 2] = (low & 15) | ((high & 15) << 4);
      }
    }
  }
  return { levels, scales };
}

const level = (value: number, scale: number): number => Math.min(7, Math.fround(value / scale) + rounder - rounder);

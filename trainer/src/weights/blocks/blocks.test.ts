import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { wave } from '../../../test/tiny-model.ts';
import { dequantise } from '../gguf/dequantise.ts';
import type { GgufTensorType } from '../gguf/tensor-types.ts';
import { repackings } from './gguf-blocks.ts';
import { quantiseBlocks } from './quantise.ts';
import { valuesOfBlocks } from '../../../test/block-values.ts';

const golden = JSON.parse(
  readFileSync(new URL('../../../test/golden/dequantise.json', import.meta.url), 'utf8'),
) as Record<GgufTensorType, { packed: string; values: string }>;

test.each(Object.entries(repackings))(
  "%s's values in blocks are those that the Python package gguf unpacks",
  (type, repacking) => {
    const packed = Buffer.from(golden[type as GgufTensorType].packed, 'hex');
    const expected = new Float32Array(golden[type as GgufTensorType].values.length / 8);
    dequantise(type as GgufTensorType, packed, expected);
    const values = valuesOfBlocks(repacking.repack(packed), repacking.form.bits);
    const largest = Math.max(...expected.map(Math.abs));
    // an offset of Q4_1's is a sum that may be rounded once more
    const tolerance = repacking.form.hasOffsets ? largest * 2 ** -22 : 0;
    expected.forEach((value, index) =>
      expect(Math.abs((values[index] ?? Number.NaN) - value)).toBeLessThanOrEqual(tolerance),
    );
  },
);

test.each([
  { bits: 8, steps: 254 },
  { bits: 4, steps: 15 },
] as const)('values rounded to $bits bits are within half a step of their block', ({ bits, steps }) => {
  const values = wave(320, 3, 0.7);
  values.fill(0, 64, 96);
  const rounded = valuesOfBlocks(quantiseBlocks(values, bits), bits);
  for (let block = 0; block < values.length; block += 32) {
    const original = values.subarray(block, block + 32);
    const largest = Math.max(...original.map(Math.abs));
    // four bits reach −8 … 7: a value opposite the extreme may be cut by a whole step
    // a scale of Q8_0 is itself rounded, to half precision: by a thousandth, at most 0.06 of a step at 127
    const step = bits === 8 ? (2 * largest) / steps : largest / 8;
    original.forEach((value, index) => {
      const off = Math.abs((rounded[block + index] ?? Number.NaN) - value);
      expect(off).toBeLessThanOrEqual(step * (bits === 8 ? 0.6 : 1.0001));
    });
  }
});

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { dequantise } from './dequantise.ts';
import { ggufTensorTypes, type GgufTensorType } from './tensor-types.ts';
import { toHuggingFaceRows } from './head-rows.ts';

const golden = JSON.parse(
  readFileSync(new URL('../../../test/golden/dequantise.json', import.meta.url), 'utf8'),
) as Record<GgufTensorType, { packed: string; values: string }>;

test.each(Object.keys(ggufTensorTypes) as GgufTensorType[])(
  '%s unpacks to the same bits as by the Python package gguf',
  (type) => {
    const { packed, values } = golden[type];
    const out = new Float32Array(values.length / 8);
    dequantise(type, Buffer.from(packed, 'hex'), out);
    expect(Buffer.from(out.buffer).toString('hex')).toBe(values);
  },
);

test('bytes that do not fill the values are refused', () => {
  expect(() => dequantise('Q8_0', new Uint8Array(33), new Float32Array(32))).toThrow(
    '33 bytes of Q8_0 do not fill 32 values',
  );
});

test('rows of q and k come back from the order in which llama.cpp permuted them', () => {
  // LlamaModel.permute of convert_hf_to_gguf.py: reshape(heads, 2, headDim/2, columns).swapaxes(1, 2)
  const [heads, headDim, columns] = [3, 8, 2];
  const original = Float32Array.from({ length: heads * headDim * columns }, (_, i) => i);
  const permuted = new Float32Array(original.length);
  let to = 0;
  for (let head = 0; head < heads; head++) {
    for (let pair = 0; pair < headDim / 2; pair++) {
      for (let half = 0; half < 2; half++) {
        const from = (head * headDim + half * (headDim / 2) + pair) * columns;
        permuted.set(original.subarray(from, from + columns), to);
        to += columns;
      }
    }
  }
  expect(permuted).not.toEqual(original);
  expect(toHuggingFaceRows(permuted, columns, headDim)).toEqual(original);
});

import { expect, test } from 'vitest';
import { dequantise } from './dequantise.ts';
import { quantiseQ8 } from './quantise.ts';

const wave = Float32Array.from({ length: 96 }, (_, i) => Math.sin(i * i) * 10 ** ((i % 32) / 8 - 2));

test('a block is half precision of a 127th of its largest value, and signed bytes', () => {
  const block = new Float32Array(32);
  block.set([127, -127, 0.5, -0.5, 1.49, 63.5]);
  const bytes = quantiseQ8(block);
  expect(bytes.length).toBe(34);
  // 1 in half precision
  expect([...bytes.subarray(0, 2)]).toEqual([0, 0x3c]);
  // halves go away from zero
  expect([...new Int8Array(bytes.buffer, 2, 7)]).toEqual([127, -127, 1, -1, 1, 64, 0]);
});

test('no value moves by more than half a step and the rounding of the step', () => {
  const back = new Float32Array(wave.length);
  dequantise('Q8_0', quantiseQ8(wave), back);
  for (let first = 0; first < wave.length; first += 32) {
    const largest = Math.max(...wave.subarray(first, first + 32).map(Math.abs));
    const bound = (largest / 127) * 0.5 + largest * 2 ** -11;
    back.subarray(first, first + 32).forEach((value, i) => {
      expect(Math.abs(value - (wave[first + i] ?? Number.NaN))).toBeLessThanOrEqual(bound);
    });
  }
});

test('zeros stay zeros, and part of a block is refused', () => {
  expect(quantiseQ8(new Float32Array(32)).every((byte) => byte === 0)).toBe(true);
  expect(() => quantiseQ8(new Float32Array(33))).toThrow('33');
});

import { expect, test } from 'vitest';
import { toBf16, toBytes, toFloats } from './half.ts';

test('bfloat16 rounds to nearest with ties to even, as PyTorch does', () => {
  // torch.tensor(x).bfloat16().view(torch.uint16)
  const cases: [number, number][] = [
    [1, 0x3f80],
    [1 + 2 ** -8, 0x3f80],
    [1 + 3 * 2 ** -8, 0x3f82],
    [1 + 2 ** -8 + 2 ** -20, 0x3f81],
    [-0.1, 0xbdcd],
    [3.4e38, 0x7f80],
    [-0, 0x8000],
    [Infinity, 0x7f80],
  ];
  for (const [value, bits] of cases) expect(toBf16(value), String(value)).toBe(bits);
  expect(toFloats(toBytes(Float32Array.of(Number.NaN), 'BF16'), 'BF16')[0]).toBeNaN();
});

test('every 16-bit pattern survives the way to float32 and back', () => {
  const all = new Uint8Array(Uint16Array.from({ length: 65_536 }, (_, i) => i).buffer);
  for (const dtype of ['F16', 'BF16'] as const) {
    const floats = toFloats(all, dtype);
    const back = toFloats(toBytes(floats, dtype), dtype);
    expect(back, dtype).toEqual(floats);
  }
});

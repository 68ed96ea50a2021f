import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toGgufRows, toHuggingFaceRows } from './head-rows.ts';

test('rows come back from the order of a GGUF', () => {
  const size = fc.integer({ min: 1, max: 5 });
  fc.assert(
    fc.property(size, size, size, (heads, half, rowElements) => {
      const values = Float32Array.from({ length: heads * 2 * half * rowElements }, (_, i) => i);
      expect(toHuggingFaceRows(toGgufRows(values, rowElements, 2 * half), rowElements, 2 * half)).toEqual(values);
    }),
  );
});

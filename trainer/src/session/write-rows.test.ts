import { expect, it } from 'vitest';
import { writeRows } from './write-rows.ts';

it('rows are written into each block of the buffer, and those past its end are dropped', () => {
  const buffer = new Float32Array(2 * 3 * 2);
  writeRows(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), [2, 2, 2], buffer, [2, 3, 2], 0);
  expect([...buffer]).toEqual([1, 2, 3, 4, 0, 0, 5, 6, 7, 8, 0, 0]);
  writeRows(Float32Array.of(9, 9, 1, 1, 8, 8, 1, 1), [2, 2, 2], buffer, [2, 3, 2], 2);
  expect([...buffer]).toEqual([1, 2, 3, 4, 9, 9, 5, 6, 7, 8, 8, 8]);
});

/**
 * Writes rows [..., n, width] over the rows from `at` on of a buffer [..., capacity, width]; rows past the capacity are
 * padding and dropped.
 */
export function writeRows(
  rows: Float32Array,
  shape: readonly number[],
  buffer: Float32Array,
  bufferShape: readonly number[],
  at: number,
): void {
  const [n = 0, width = 0] = shape.slice(-2);
  const capacity = bufferShape.at(-2) ?? 0;
  const kept = Math.min(n, capacity - at) * width;
  const blocks = rows.length / (n * width);
  for (let block = 0; block < blocks; block++) {
    const from = block * n * width;
    buffer.set(rows.subarray(from, from + kept), (block * capacity + at) * width);
  }
}

import type { Example } from './encode-records.ts';
import { ignoredLabel } from './parse-json-line.ts';

/**
 * Joins examples into rows of at most `sequenceLength` tokens, each example a segment of its own: attention stays inside
 * it, positions begin anew, and its first token has no label. Longest first, each into the fullest row that it fits into
 * (best fit decreasing), so the same examples always give the same rows.
 * @param examples none longer than `sequenceLength`
 */
export function packExamples(examples: readonly Example[], sequenceLength: number): Example[] {
  const rows = packLengths(
    examples.map(({ inputIds }) => inputIds.length),
    sequenceLength,
  );
  // where no two fit into one row there is nothing to tell apart, and the plain graph does
  if (rows.length === examples.length) return [...examples];
  return rows.map((row) => joinSegments(row.map((index) => examples[index] as Example)));
}

/** How many rows packing makes of examples of these lengths. */
export const packedRows = (lengths: readonly number[], sequenceLength: number): number =>
  packLengths(lengths, sequenceLength).length;

/** Rows of indices into `lengths`. */
function packLengths(lengths: readonly number[], sequenceLength: number): number[][] {
  const rows: number[][] = [];
  /** By the room that is left, the rows that have it. */
  const withRoom = Array.from({ length: sequenceLength + 1 }, (): number[][] => []);
  const longestFirst = [...lengths.keys()].toSorted((a, b) => (lengths[b] ?? 0) - (lengths[a] ?? 0));
  for (const index of longestFirst) {
    const length = lengths[index] ?? 0;
    let room = length;
    while (room < sequenceLength && withRoom[room]?.length === 0) room++;
    let row = withRoom[room]?.pop();
    if (!row) {
      row = [];
      rows.push(row);
    }
    row.push(index);
    withRoom[room - length]?.push(row);
  }
  return rows;
}

function joinSegments(segments: readonly Example[]): Example {
  const length = segments.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  const inputIds = new Int32Array(length);
  const labels = new Int32Array(length);
  let start = 0;
  for (const segment of segments) {
    inputIds.set(segment.inputIds, start);
    labels.set(segment.labels, start);
    labels[start] = ignoredLabel; // the token before it is another example's
    start += segment.inputIds.length;
  }
  return { inputIds, labels, segmentLengths: segments.map((segment) => segment.inputIds.length) };
}

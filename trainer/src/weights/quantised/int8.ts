import type { RowPieces } from './row-pieces.ts';

/** A matrix [k, n] as levels −127 … 127 and a scale for each column: weight = level · scale. */
export interface ColumnLevels {
  readonly levels: Int8Array<ArrayBuffer>;
  readonly scales: Float32Array<ArrayBuffer>;
}

export interface Int8Weight {
  /** Wᵀ [in, out] with a scale for each output: the right factor of X·Wᵀ. */
  readonly forward: ColumnLevels;
  /** W [out, in], centred or not, with a scale for each input: the right factor of δ·W, which sums over the outputs. */
  readonly backward: ColumnLevels;
}

const largestLevel = 127;
/** A column of weights as small as this is zero to any product; its scale would not be a normal number. */
const smallestWeight = 1e-30;
/** Rows that are transposed together: their cache lines fit the first-level cache. */
const transposedRows = 64;

/** Adding and subtracting 1.5·2⁵² rounds a float64 to a whole number, ties to even. */
const rounder = 6755399441055744;

export interface Int8Options {
  /**
   * The backward form holds W less the mean of its rows. For a head under a softmax that is the same product, since the
   * rows of its gradient sum to 0, and the small probabilities that rounding loses then leave nothing behind.
   */
  readonly centred: boolean;
}

/**
 * A linear layer's weight [out, in], both ways: level = round(weight / scale) with scale = max|weight| / 127. Reads the
 * weight twice, for the scales and for the levels; holds two bytes for each weight. A row that is not finite has an
 * infinite scale.
 */
export async function quantiseInt8(
  pieces: RowPieces,
  [out, inner]: readonly [number, number],
  { centred }: Int8Options,
): Promise<Int8Weight> {
  const rowScales = new Float32Array(out);
  const columns = new ColumnExtent(inner);
  for await (const { firstRow, values } of pieces()) addExtent(values, firstRow, rowScales, columns);
  const means = centred ? columns.means(out) : new Float32Array(inner);
  const columnScales = columns.largestFrom(means);
  for (const scales of [rowScales, columnScales]) largestToScale(scales);
  const forward = new Int8Array(inner * out);
  const backward = new Int8Array(out * inner);
  for await (const { firstRow, values } of pieces()) {
    fillBackward(values, firstRow, columnScales, means, backward);
    fillForward(values, firstRow, rowScales, inner, forward);
  }
  return { forward: { levels: forward, scales: rowScales }, backward: { levels: backward, scales: columnScales } };
}

/** Of each column, over the rows so far. */
class ColumnExtent {
  readonly lowest: Float32Array;
  readonly highest: Float32Array;
  readonly sums: Float64Array;

  constructor(columns: number) {
    this.lowest = new Float32Array(columns).fill(Number.POSITIVE_INFINITY);
    this.highest = new Float32Array(columns).fill(Number.NEGATIVE_INFINITY);
    this.sums = new Float64Array(columns);
  }

  means(rows: number): Float32Array<ArrayBuffer> {
    return Float32Array.from(this.sums, (sum) => sum / rows);
  }

  /** The largest distance from these values. */
  largestFrom(values: Float32Array): Float32Array<ArrayBuffer> {
    return Float32Array.from(values, (value, column) =>
      Math.max(Math.abs((this.lowest[column] as number) - value), Math.abs((this.highest[column] as number) - value)),
    );
  }
}

/** Adds rows to the extent of the columns, and writes the largest magnitude of each row. */
function addExtent(values: Float32Array, firstRow: number, rows: Float32Array, columns: ColumnExtent): void {
  const { lowest, highest, sums } = columns;
  const width = sums.length;
  for (let start = 0, row = firstRow; start < values.length; start += width, row++) {
    let largest = 0;
    let total = 0;
    for (let column = 0; column < width; column++) {
      const value = values[start + column] as number;
      if (value < (lowest[column] as number)) lowest[column] = value;
      if (value > (highest[column] as number)) highest[column] = value;
      sums[column] = (sums[column] as number) + value;
      const magnitude = Math.abs(value);
      if (magnitude > largest) largest = magnitude;
      total += magnitude;
    }
    rows[row] = Number.isFinite(total) ? largest : Number.POSITIVE_INFINITY; // NaN is larger than nothing
  }
}

function largestToScale(largest: Float32Array): void {
  for (const [index, value] of largest.entries()) largest[index] = value < smallestWeight ? 1 : value / largestLevel;
}

function fillBackward(
  values: Float32Array,
  firstRow: number,
  scales: Float32Array,
  means: Float32Array,
  levels: Int8Array,
): void {
  const width = scales.length;
  let to = firstRow * width;
  for (let start = 0; start < values.length; start += width) {
    for (let column = 0; column < width; column++, to++) {
      const value = Math.fround((values[start + column] as number) - (means[column] as number));
      const quotient = Math.fround(value / (scales[column] as number));
      levels[to] = quotient + rounder - rounder;
    }
  }
}

function fillForward(
  values: Float32Array,
  firstRow: number,
  scales: Float32Array,
  width: number,
  levels: Int8Array,
): void {
  const rows = values.length / width;
  for (let block = 0; block < rows; block += transposedRows) {
    const end = Math.min(rows, block + transposedRows);
    for (let column = 0; column < width; column++) {
      const to = column * scales.length + firstRow;
      for (let row = block; row < end; row++) {
        const quotient = Math.fround((values[row * width + column] as number) / (scales[firstRow + row] as number));
        levels[to + row] = quotient + rounder - rounder;
      }
    }
  }
}

import { parquetHeader } from 'hyparquet/src/column.js';
import { ParquetFault, withinLimit } from './parquet-fault.ts';

/** What the footer says of a column's bytes in a row group. */
export interface ColumnClaims {
  readonly values: number;
  /** Each row has one value, null or not. */
  readonly isFlat: boolean;
  readonly rows: number;
  readonly isCompressed: boolean;
}

/** hyparquet ends where fewer bytes than this are left. */
const shortestHeader = 2;

/**
 * Walks the page headers of a column chunk without decoding a page, so that the decoder meets sizes that lie inside the
 * chunk and counts that add up: it trusts both, and a header without a size would send it in circles.
 * @returns the pages' uncompressed size in bytes
 */
export function checkPages(chunk: DataView, { values, isFlat, rows, isCompressed }: ColumnClaims): number {
  withinLimit('parquetValues', values);
  if (isFlat && values !== rows) throw new ParquetFault(`a column has ${values} values for ${rows} rows`);
  const reader = { view: chunk, offset: 0 };
  let pageValues = 0;
  let uncompressedBytes = 0;
  while (reader.offset <= chunk.byteLength - shortestHeader) {
    const header = parquetHeader(reader);
    const left = chunk.byteLength - reader.offset;
    const [compressed, uncompressed] = [
      asCount(header.compressed_page_size, left, 'compressed page size'),
      asCount(header.uncompressed_page_size, Number.MAX_SAFE_INTEGER, 'page size'),
    ];
    if (!isCompressed && compressed !== uncompressed) {
      throw new ParquetFault(`a page of ${uncompressed} bytes takes ${compressed} without compression`);
    }
    uncompressedBytes += uncompressed;
    withinLimit('parquetRowGroupBytes', uncompressedBytes);
    const isDictionary = header.type === 'DICTIONARY_PAGE';
    const counted = isDictionary
      ? header.dictionary_page_header
      : (header.data_page_header_v2 ?? header.data_page_header);
    const count = asCount(counted?.num_values, values, 'count of values');
    // a value takes four bytes in a dictionary at least: its length
    if (isDictionary && count > uncompressed)
      throw new ParquetFault(`a dictionary of ${uncompressed} bytes has ${count} values`);
    if (!isDictionary) pageValues += count;
    reader.offset += compressed;
  }
  if (pageValues !== values)
    throw new ParquetFault(`the pages of a column have ${pageValues} values, the footer says ${values}`);
  return uncompressedBytes;
}

/** A whole number from 0 to `most`; whatever a header left out is none. */
export function asCount(value: unknown, most: number, name: string): number {
  const count = typeof value === 'bigint' ? Number(value) : value;
  if (typeof count === 'number' && Number.isInteger(count) && count >= 0 && count <= most) return count;
  throw new ParquetFault(`a ${name} is ${typeof count === 'number' ? count : 'missing'}, it can be 0 to ${most}`);
}

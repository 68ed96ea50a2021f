import { fstatSync, openSync, readSync } from 'node:fs';
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type RowGroup,
} from 'hyparquet';
import { asCount, checkPages } from './check-pages.ts';
import { codecs } from './codecs.ts';
import { ParquetFault, withinLimit } from './parquet-fault.ts';

/** `length: u32, 'PAR1'` at the end of each file. */
const tailBytes = 8;
/** So much is sent at once; a row group may have more. */
const sliceRows = 1024;
const sliceCharacters = 4 * 1024 * 1024;

const utf8 = new TextDecoder('utf-8', { fatal: true });
/** In place of bytes that are no text: a view would take its whole page along. */
const noText = new Uint8Array();
const textOf = (bytes: Uint8Array | undefined): string | Uint8Array | undefined => {
  if (bytes === undefined) return undefined;
  try {
    return utf8.decode(bytes);
  } catch {
    return noText;
  }
};
const parsers = { stringFromBytes: textOf, jsonFromBytes: textOf };

export interface ParquetFile {
  readonly columns: readonly string[];
  /** The rows' cells in the order of `columns`, some at a time. */
  read(columns: readonly string[], onProgress: () => void): AsyncGenerator<unknown[][]>;
}

/** @throws ParquetFault and whatever hyparquet throws at damaged bytes; it may also not return */
export async function openParquetFile(path: string): Promise<ParquetFile> {
  const file = fileBytes(path);
  if (file.byteLength < tailBytes + 4) throw new ParquetFault(`a file of ${file.byteLength} bytes is too short`);
  const tail = new DataView(await file.slice(file.byteLength - tailBytes, file.byteLength));
  withinLimit('parquetFooterBytes', tail.getUint32(0, true));
  const metadata = await parquetMetadataAsync(file, { parsers, geoparquet: false });
  const schema = parquetSchema(metadata);
  const nested = new Set(
    schema.children
      .filter(({ children, element }) => children.length > 0 || element.repetition_type === 'REPEATED')
      .map(({ element }) => element.name),
  );
  return {
    columns: schema.children.map(({ element }) => element.name),
    async *read(columns, onProgress) {
      const counts = metadata.row_groups.map(({ num_rows: rows }) =>
        asCount(rows, Number.MAX_SAFE_INTEGER, 'count of rows'),
      );
      const total = counts.reduce((sum, rows) => sum + rows, 0);
      if (total !== Number(metadata.num_rows))
        throw new ParquetFault(`the row groups have ${total} rows, the footer says ${metadata.num_rows}`);
      let rowStart = 0;
      for (const [index, group] of metadata.row_groups.entries()) {
        const rowEnd = rowStart + (counts[index] ?? 0);
        await checkGroup(file, group, columns, nested, onProgress);
        yield* slices(await readRows(file, metadata, columns, { rowStart, rowEnd }, onProgress), columns);
        rowStart = rowEnd;
      }
    },
  };
}

async function checkGroup(
  file: AsyncBuffer,
  group: RowGroup,
  columns: readonly string[],
  nested: ReadonlySet<string>,
  onProgress: () => void,
): Promise<void> {
  let bytes = 0;
  for (const { meta_data: chunk } of group.columns) {
    const [column = ''] = chunk?.path_in_schema ?? [];
    if (!chunk || !columns.includes(column)) continue;
    const start = asCount(chunk.dictionary_page_offset || chunk.data_page_offset, file.byteLength, 'page offset');
    const size = asCount(chunk.total_compressed_size, file.byteLength - start, 'column size');
    const pages = new DataView(await file.slice(start, start + size));
    bytes += checkPages(pages, {
      values: asCount(chunk.num_values, Number.MAX_SAFE_INTEGER, 'count of values'),
      rows: Number(group.num_rows),
      isFlat: !nested.has(column),
      isCompressed: chunk.codec !== 'UNCOMPRESSED',
    });
    withinLimit('parquetRowGroupBytes', bytes);
    onProgress();
  }
}

async function readRows(
  file: AsyncBuffer,
  metadata: FileMetaData,
  columns: readonly string[],
  range: { rowStart: number; rowEnd: number },
  onProgress: () => void,
): Promise<Record<string, unknown>[]> {
  if (range.rowStart === range.rowEnd) return [];
  const rows = await parquetReadObjects({
    file,
    metadata,
    columns: [...columns],
    ...range,
    compressors: codecs(onProgress),
    onPage: onProgress,
    parsers,
    useOffsetIndex: false,
  });
  const expected = range.rowEnd - range.rowStart;
  if (rows.length !== expected)
    throw new ParquetFault(`a row group has ${rows.length} rows, the footer says ${expected}`);
  return rows;
}

function* slices(rows: readonly Record<string, unknown>[], columns: readonly string[]): Generator<unknown[][]> {
  let slice: unknown[][] = [];
  let characters = 0;
  for (const row of rows) {
    const cells = columns.map((column) => (ArrayBuffer.isView(row[column]) ? noText : row[column]));
    slice.push(cells);
    for (const cell of cells) characters += typeof cell === 'string' ? cell.length : 0;
    if (slice.length < sliceRows && characters < sliceCharacters) continue;
    yield slice;
    [slice, characters] = [[], 0];
  }
  if (slice.length > 0) yield slice;
}

/** A file as hyparquet reads it; what lies outside is refused. */
function fileBytes(path: string): AsyncBuffer {
  const descriptor = openSync(path, 'r'); // Node closes it with the thread
  const byteLength = fstatSync(descriptor).size;
  return {
    byteLength,
    slice(start, end = byteLength) {
      if (!(start >= 0 && start <= end && end <= byteLength))
        throw new ParquetFault(`bytes ${start} to ${end} lie outside the file of ${byteLength}`);
      withinLimit('parquetRowGroupBytes', end - start);
      const bytes = new Uint8Array(end - start);
      let filled = 0;
      while (filled < bytes.length) {
        const read = readSync(descriptor, bytes, filled, bytes.length - filled, start + filled);
        if (read === 0) throw new ParquetFault(`the file ended at byte ${start + filled} while it was read`);
        filled += read;
      }
      return bytes.buffer;
    },
  };
}

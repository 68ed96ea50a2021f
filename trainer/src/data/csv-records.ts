import { CsvError, parse } from 'csv-parse/sync';
import { isWeftError, WeftError } from '@weft/shared';
import type { Line } from './lines.ts';
import { dataLimits } from './limits.ts';
import type { LocatedContent } from './record.ts';
import { columnsAmong, missingColumns } from './table-columns.ts';
import { parseRow } from './table-row.ts';
import { isBlank } from './text-records.ts';

/** The lines of one row: fields in quotes may go over several. */
interface Row {
  readonly line: number;
  readonly text: string;
}

/** Between a header's names; spreadsheets write semicolons where the comma parts decimals. */
const delimiters = [',', ';', '\t'] as const;
type Delimiter = (typeof delimiters)[number];

/** Parsing a row by itself costs several times its share of a batch. */
const rowsPerBatch = 256;

/** A CSV file (RFC 4180) whose first row names the columns; its other rows are the records. */
export async function* csvRecords(lines: AsyncIterable<Line>, file: string): AsyncGenerator<LocatedContent> {
  const rows = rowsOf(lines, file);
  const header = await rows.next();
  if (header.done) return;
  const { names, delimiter } = readHeader(header.value, file);
  const columns = columnsAmong(names);
  if (!columns) throw missingColumns(names, file);
  const places = columns.map((column) => names.indexOf(column));
  for await (const batch of inBatches(rows)) {
    for (const [index, fields] of parseRows(batch, delimiter, file).entries()) {
      const line = batch[index]?.line ?? 0;
      if (fields.length !== names.length) {
        throw new WeftError(
          'WEFT_DATA_CSV',
          `the row on line ${line} has ${fields.length} fields, the header names ${names.length} columns`,
          { file, line, fields: fields.length, columns: names.length },
        );
      }
      const source = { file, line };
      // an empty field is how CSV writes a missing value: a completion that is none teaches nothing
      const cells = places.map((at, column) => (columns[column] !== 'prompt' && fields[at] === '' ? null : fields[at]));
      const content = columns[0] === 'text' && cells[0] === null ? undefined : parseRow(columns, cells, source);
      if (content) yield { content, source };
    }
  }
}

/** Lines until the quotes are paired: a doubled quote inside a field leaves the count even. Blank lines are left out. */
async function* rowsOf(lines: AsyncIterable<Line>, file: string): AsyncGenerator<Row, undefined> {
  let begun: { readonly line: number; readonly parts: string[]; length: number; isOpen: boolean } | undefined;
  for await (const { number, text, end } of lines) {
    if (!begun && isBlank(text)) continue;
    begun ??= { line: number, parts: [], length: 0, isOpen: false };
    begun.parts.push(text, end);
    begun.length += text.length + end.length;
    if (begun.length > dataLimits.lineBytes) {
      throw new WeftError(
        'WEFT_DATA_LIMIT',
        `the row that begins on line ${begun.line} has ${begun.length} characters by line ${number}, the limit is ${dataLimits.lineBytes} (lineBytes): probably a quote is left open`,
        { file, line: begun.line, limit: 'data.lineBytes', actual: begun.length },
      );
    }
    if (isOdd(text)) begun.isOpen = !begun.isOpen;
    if (begun.isOpen) continue;
    yield toRow(begun);
    begun = undefined;
  }
  if (begun) yield toRow(begun);
  return undefined;
}

const toRow = ({ line, parts }: { line: number; parts: readonly string[] }): Row => ({
  line,
  text: parts.slice(0, -1).join(''),
});

function isOdd(text: string): boolean {
  let odd = false;
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at + 1)) odd = !odd;
  return odd;
}

async function* inBatches(rows: AsyncIterable<Row>): AsyncGenerator<Row[]> {
  let batch: Row[] = [];
  for await (const row of rows) {
    batch.push(row);
    if (batch.length < rowsPerBatch) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** The first delimiter by which the header names known columns; else commas, for what is wrong with them. */
function readHeader(row: Row, file: string): { names: string[]; delimiter: Delimiter } {
  for (const delimiter of delimiters) {
    const names = namesBy(delimiter, row, file);
    if (names && columnsAmong(names)) return { names, delimiter };
  }
  return { names: (parseRows([row], ',', file)[0] ?? []).map((name) => name.trim()), delimiter: ',' };
}

function namesBy(delimiter: Delimiter, row: Row, file: string): string[] | undefined {
  try {
    return parseRows([row], delimiter, file)[0]?.map((name) => name.trim());
  } catch (error) {
    // quotes that end before a delimiter of another kind
    if (isWeftError(error, 'WEFT_DATA_CSV')) return undefined;
    throw error;
  }
}

/** The fields of each row. A fault is looked for row by row, so that it has a line. */
function parseRows(rows: readonly Row[], delimiter: Delimiter, file: string): string[][] {
  try {
    const parsed = parseCsv(rows.map(({ text }) => text).join('\n'), delimiter);
    if (parsed.length === rows.length) return parsed;
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
  }
  return rows.map(({ text, line }) => {
    try {
      const [fields, ...others] = parseCsv(text, delimiter);
      if (fields && others.length === 0) return fields;
    } catch (error) {
      // no cause: the parser's message quotes the field
      if (error instanceof CsvError) throw malformed(faults[error.code] ?? 'is not CSV', line, file);
      throw error;
    }
    throw malformed('is not one row', line, file);
  });
}

const parseCsv = (text: string, delimiter: Delimiter): string[][] =>
  parse(text, { delimiter, record_delimiter: ['\r\n', '\n'], relax_column_count: true });

const faults: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'has a quote that is not closed',
  CSV_INVALID_CLOSING_QUOTE: 'has text behind a closing quote',
  INVALID_OPENING_QUOTE: 'has a quote inside a field that does not begin with one',
};

const malformed = (what: string, line: number, file: string): WeftError =>
  new WeftError('WEFT_DATA_CSV', `the row on line ${line} ${what}`, { file, line });

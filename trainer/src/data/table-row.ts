import { WeftError } from '@weft/shared';
import { dataLimits } from './limits.ts';
import { parseMessages } from './parse-json-line.ts';
import { placeOf, type RecordContent, type RecordSource } from './record.ts';
import type { TableColumns } from './table-columns.ts';
import { isBlank } from './text-records.ts';

/**
 * Types of a table's row.
 * @param cells the row's values in the order of `columns`
 * @returns undefined for a blank text, which is no record
 */
export function parseRow(
  columns: TableColumns,
  cells: readonly unknown[],
  source: RecordSource,
): RecordContent | undefined {
  const text = (index: number): string => textOf(cells[index], columns[index] ?? '', source);
  switch (columns[0]) {
    case 'messages':
      return { kind: 'messages', messages: parseMessages(messagesOf(cells[0], source), source) };
    case 'prompt':
      return { kind: 'promptCompletion', prompt: text(0), completion: text(1) };
    case 'text':
      return isBlank(text(0)) ? undefined : { kind: 'text', text: text(0) };
  }
}

function textOf(cell: unknown, column: string, source: RecordSource): string {
  if (typeof cell !== 'string') throw badCell(cellKind(cell), column, source);
  if (cell.length > dataLimits.lineBytes) {
    throw new WeftError(
      'WEFT_DATA_LIMIT',
      `${placeOf(source)} has ${cell.length} characters in column ${column}, the limit is ${dataLimits.lineBytes} (lineBytes)`,
      { ...source, limit: 'data.lineBytes', actual: cell.length },
    );
  }
  if (cell.includes('\0')) throw badCell('a zero character, as binary data has it', column, source);
  return cell;
}

/** A list, or JSON of one. */
function messagesOf(cell: unknown, source: RecordSource): unknown {
  if (Array.isArray(cell)) return cell;
  try {
    return JSON.parse(textOf(cell, 'messages', source));
  } catch (error) {
    if (error instanceof WeftError) throw error;
    // no cause: V8's message quotes the text
    throw badCell('text that is not JSON', 'messages', source);
  }
}

function cellKind(cell: unknown): string {
  if (cell === null || cell === undefined) return 'nothing';
  if (Number.isNaN(cell)) return 'NaN';
  if (cell instanceof Uint8Array) return 'bytes that are not UTF-8';
  return `a value of another type (${cell instanceof Date ? 'date' : typeof cell})`;
}

const badCell = (what: string, column: string, source: RecordSource): WeftError =>
  new WeftError('WEFT_DATA_CELL', `${placeOf(source)} has ${what} in column ${column}`, { ...source, column });

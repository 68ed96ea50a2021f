import { stat } from 'node:fs/promises';
import { WeftError } from '@weft/shared';
import type { LocatedContent, RecordSource } from '../record.ts';
import { columnsAmong, missingColumns } from '../table-columns.ts';
import { parseRow } from '../table-row.ts';
import { parquetLimits } from './parquet-limits.ts';
import { ParquetThread } from './parquet-thread.ts';

/** The rows of a Parquet file, of any codec but LZ4 and LZO; conversations are JSON or list<struct<role, content>>. */
export async function* parquetRecords(
  file: string,
  { stallMs = parquetLimits.parquetStallMs }: { stallMs?: number } = {},
): AsyncGenerator<LocatedContent> {
  // opening a pipe would wait in the system, where no thread can be ended
  if (!(await stat(file)).isFile())
    throw new WeftError('WEFT_DATA_PARQUET', 'a Parquet file is read from its end, which a pipe does not have', {
      file,
    });
  await using thread = new ParquetThread(file, stallMs);
  const { columns: names } = await thread.ask('opened', { kind: 'open', file });
  const columns = columnsAmong(names);
  if (!columns) throw missingColumns(names, file);
  await thread.ask('chosen', { kind: 'choose', columns });
  let line = 0;
  while (true) {
    const { rows } = await thread.ask('rows', { kind: 'next' });
    if (rows.length === 0) return;
    for (const cells of rows) {
      const source: RecordSource = { file, line: ++line, unit: 'row' };
      const content = parseRow(columns, cells, source);
      if (content) yield { content, source };
    }
  }
}

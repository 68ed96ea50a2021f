import { stat } from 'node:fs/promises';
import { WeftError } from '@weft/shared';
import { csvRecords } from './csv-records.ts';
import { beyondDataLimit, type DataExtension, dataFiles, extensionOf } from './data-files.ts';
import { readLines } from './lines.ts';
import { dataLimits } from './limits.ts';
import { parquetRecords } from './parquet/parquet-records.ts';
import { createRecord, type DataRecord, type LocatedContent } from './record.ts';
import { jsonRecords, paragraphRecords, textRecords } from './text-records.ts';

/** How the bytes of such a file become records. */
const readers: Readonly<Record<DataExtension, (file: string) => AsyncIterable<LocatedContent>>> = {
  '.txt': (file) => textRecords(readLines(file), file),
  '.md': (file) => paragraphRecords(readLines(file), file),
  '.jsonl': (file) => jsonRecords(readLines(file), file),
  '.csv': (file) => csvRecords(readLines(file), file),
  '.parquet': (file) => parquetRecords(file),
};

/** Every record of these files and folders, in order; folders in order of name, with what lies in them. */
export async function readRecords(paths: readonly string[]): Promise<DataRecord[]> {
  const records: DataRecord[] = [];
  for (const path of paths) {
    for (const file of await dataFiles(path)) {
      const before = records.length;
      const extension = extensionOf(file);
      if (!extension) continue; // dataFiles names no other
      for await (const { content, source } of readers[extension](file)) {
        records.push(createRecord(content, source));
        if (records.length > dataLimits.records) throw beyondDataLimit('records', records.length);
      }
      if (records.length === before)
        throw new WeftError('WEFT_DATA_EMPTY', `a data file holds no record in its ${(await stat(file)).size} bytes`, {
          file,
        });
    }
  }
  return records;
}

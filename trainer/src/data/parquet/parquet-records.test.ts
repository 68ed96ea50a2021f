import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isWeftError } from '@weft/shared';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readRecords } from '../read-records.ts';
import type { LocatedContent } from '../record.ts';
import { parquetRecords } from './parquet-records.ts';

const golden = z
  .record(
    z.string(),
    z.object({ file: z.base64(), rows: z.array(z.unknown()).optional(), refused: z.string().optional() }),
  )
  .parse(JSON.parse(readFileSync(new URL('../../../test/golden/tables.json', import.meta.url), 'utf8')));
const names = (kind: 'rows' | 'refused'): string[] => Object.keys(golden).filter((name) => golden[name]?.[kind]);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-parquet-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function put(bytes: Uint8Array): Promise<string> {
  const file = join(folder, 'a.parquet');
  await writeFile(file, bytes);
  return file;
}
const bytesOf = (name: string): Buffer => Buffer.from(golden[name]?.file ?? '', 'base64');

const refusal = (reading: Promise<unknown>): Promise<string> =>
  reading.then(
    () => 'accepted',
    (error: unknown) => {
      if (!isWeftError(error)) throw error;
      expect(error.cause, 'a cause may quote the data').toBeUndefined();
      return `${error.code} ${error.message}`;
    },
  );

describe('a Parquet file of pyarrow or pandas', () => {
  it.each(names('rows'))('is read as it was written: %s', async (name) => {
    const records = await readRecords([await put(bytesOf(name))]);
    const rows = records.map((record) => {
      const { id: _id, source: _source, kind: _kind, ...row } = record;
      return row;
    });
    expect(rows).toEqual(golden[name]?.rows);
    expect(records.map(({ source }) => [source.unit, source.line])).toEqual(rows.map((_, row) => ['row', row + 1]));
  });

  it('has the records that the same rows have in .jsonl and .csv, so that prompts are masked alike', async () => {
    for (const name of ['prompts', 'conversations', 'none']) {
      const rows = z.array(z.record(z.string(), z.unknown())).parse(golden[name]?.rows);
      const columns = Object.keys(rows[0] ?? {});
      const field = (value: unknown): string =>
        `"${(typeof value === 'string' ? value : JSON.stringify(value)).replaceAll('"', '""')}"`;
      const csv = [columns, ...rows.map((row) => columns.map((column) => field(row[column])))].join('\n');
      await writeFile(join(folder, 'a.csv'), csv);
      await writeFile(join(folder, 'a.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
      const parquet = await put(bytesOf(name));
      const [fromCsv, fromJson, fromParquet] = await Promise.all(
        [join(folder, 'a.csv'), join(folder, 'a.jsonl'), parquet].map((file) => readRecords([file])),
      );
      const plain = fromJson?.map(({ source: _source, ...record }) => record);
      expect(fromCsv?.map(({ source: _source, ...record }) => record)).toEqual(plain);
      expect(fromParquet?.map(({ source: _source, ...record }) => record)).toEqual(plain);
    }
  });

  it.each(names('refused'))('is refused by code, with the row where there is one: %s', async (name) => {
    expect(await refusal(readRecords([await put(bytesOf(name))]))).toContain(golden[name]?.refused);
  });
});

describe('a damaged Parquet file', () => {
  it('is refused where a page header has no size, on which the decoder would go in circles', async () => {
    const bytes = bytesOf('prompts');
    // thrift: a dictionary page (1: 2) of no bytes (2: 0) and no values (7: {1: 0}), and no field 3
    bytes.set([0x15, 0x04, 0x15, 0x00, 0x5c, 0x15, 0x00, 0x00, 0x00], 4);
    expect(await refusal(readRecords([await put(bytes)]))).toMatch(
      /^WEFT_DATA_PARQUET a Parquet file cannot be read: a compressed page size is missing, it can be 0 to \d+$/,
    );
  });

  it('is refused where its reader makes no progress in time', async () => {
    const all: LocatedContent[] = [];
    const reading = async (): Promise<void> => {
      for await (const record of parquetRecords(await put(bytesOf('none')), { stallMs: 0 })) all.push(record);
    };
    expect(await refusal(reading())).toBe(
      'WEFT_DATA_PARQUET a Parquet file cannot be read: its reader made no progress in 0 ms (parquetStallMs)',
    );
    expect(all).toEqual([]);
  });

  it('is refused where it is no Parquet file, and where it was cut', async () => {
    const cut = bytesOf('zstd').subarray(0, -20);
    for (const bytes of [Buffer.from('text\nabc\nand so on'), Buffer.from('PAR1'), cut])
      expect(await refusal(readRecords([await put(bytes)]))).toMatch(/^WEFT_DATA_(PARQUET|LIMIT) /);
  });
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isWeftError } from '@weft/shared';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { dataLimits } from './limits.ts';
import { readRecords } from './read-records.ts';
import type { DataRecord } from './record.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-csv-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function read(content: string | Uint8Array): Promise<DataRecord[]> {
  const file = join(folder, 'a.csv');
  await writeFile(file, content);
  return readRecords([file]);
}

const refusal = (content: string | Uint8Array): Promise<string> =>
  read(content).then(
    () => 'accepted',
    (error: unknown) => {
      if (!isWeftError(error)) throw error;
      expect(error.cause, 'a cause may quote the data').toBeUndefined();
      return `${error.code} ${error.message}`;
    },
  );

const textsOf = (records: readonly DataRecord[]): unknown[] =>
  records.map((record) => record.kind === 'text' && record.text);

test('quotes, doubled quotes, line ends inside fields and a byte order mark are read as they are meant', async () => {
  const records = await read('\uFEFFid,text\r\n1,"a, ""b""\r\nc"\r\n\r\n2,d\r\n3,\r\n4,"e\nf"');
  expect(textsOf(records)).toEqual(['a, "b"\r\nc', 'd', 'e\nf']);
  expect(records.map(({ source }) => source.line)).toEqual([2, 5, 7]);
});

test('whatever a table holds, written with every field in quotes it is read back with its lines', async () => {
  const cell = fc.string({ unit: fc.constantFrom('a', 'ñ', '"', ',', ';', '\n', '\r\n', ' ', '😀'), minLength: 1 });
  const table = fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 600 });
  const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  const property = fc.asyncProperty(table, fc.constantFrom(',', ';', '\t'), async (rows, delimiter) => {
    const lines = [['prompt', 'completion'], ...rows].map((row) => row.map(quoted).join(delimiter));
    const records = await read(`${lines.join('\n')}\n`);
    expect(records.map((r) => r.kind === 'promptCompletion' && [r.prompt, r.completion])).toEqual(rows);
    const above = lines.map((line) => line.split('\n').length);
    const starts = rows.map((_, row) => 1 + above.slice(0, row + 1).reduce((sum, count) => sum + count));
    expect(records.map(({ source }) => source.line)).toEqual(starts);
  });
  await fc.assert(property, { numRuns: 40 });
});

test('conversations are JSON in a column, and stand before prompts, prompts before text', async () => {
  const messages = [{ role: 'user', content: 'u' }];
  const field = `"${JSON.stringify(messages).replaceAll('"', '""')}"`;
  expect(await read(`text,prompt,completion,messages\nt,p,c,${field}`)).toMatchObject([{ kind: 'messages', messages }]);
  expect(await read('text,prompt,completion\nt,p,c')).toMatchObject([{ kind: 'promptCompletion', prompt: 'p' }]);
  expect(await read('text,prompt\nt,p')).toMatchObject([{ kind: 'text', text: 't' }]);
});

test('a fault is refused by line, and no message repeats what a field holds', async () => {
  const cases: [string, string][] = [
    ['text,id\na,1\nsecret,2,3\n', 'WEFT_DATA_CSV the row on line 3 has 3 fields, the header names 2 columns'],
    ['text,id\n"a\nb",1\nsecret\n', 'WEFT_DATA_CSV the row on line 4 has 1 fields, the header names 2 columns'],
    ['text\na\n"secret\n', 'WEFT_DATA_CSV the row on line 3 has a quote that is not closed'],
    ['text\na\n"secret" b\n', 'WEFT_DATA_CSV the row on line 3 has text behind a closing quote'],
    [
      'text\na\nsecret "b"\n',
      'WEFT_DATA_CSV the row on line 3 has a quote inside a field that does not begin with one',
    ],
    ['prompt,completion\na,b\nsecret,\n', 'WEFT_DATA_CELL line 3 has nothing in column completion'],
    ['messages\nsecret\n', 'WEFT_DATA_CELL line 2 has text that is not JSON in column messages'],
    [
      'messages\n"[{""role"":""secret""}]"\n',
      'WEFT_DATA_MALFORMED line 2 has a message without role and content as strings',
    ],
    [
      'question,answer\nsecret,b\n',
      'WEFT_DATA_COLUMNS the table has no column messages, no columns prompt and completion, and no column text; it has: question, answer',
    ],
  ];
  for (const [content, expected] of cases) {
    expect(await refusal(content)).toBe(expected);
    expect(expected).not.toContain('secret');
  }
  expect(await refusal('text\n')).toBe('WEFT_DATA_EMPTY a data file holds no record in its 5 bytes');
  expect(await refusal(Buffer.from('text\na\n\0b\n'))).toBe(
    'WEFT_DATA_NOT_UTF8 line 3 is no text: byte 7 of the file is zero, as in UTF-16 and binary files',
  );
});

test('a fault far down is found by its line', async () => {
  const rows = Array.from({ length: 1000 }, (_, row) => `"row ${row}\nmore"`);
  rows[777] = '"row" 777';
  expect(await refusal(`text\n${rows.join('\n')}`)).toBe(
    'WEFT_DATA_CSV the row on line 1556 has text behind a closing quote',
  );
});

test('an open quote ends the reading at the limit, and not at the end of the file', async () => {
  const line = `${'a'.repeat(1024 * 1024 - 1)}\n`;
  const lines = Math.ceil(dataLimits.lineBytes / line.length) + 4;
  expect(await refusal(`text\n"${line.repeat(lines)}`)).toMatch(
    /^WEFT_DATA_LIMIT the row that begins on line 2 has \d+ characters by line 17, the limit is 16777216 \(lineBytes\): probably a quote is left open$/,
  );
});

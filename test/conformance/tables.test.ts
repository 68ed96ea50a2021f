import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readRecords } from '@weft/trainer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { findPython, skips } from './python.ts';
import { sampleLines } from './sample-lines.ts';

const python = findPython(['pandas', 'pyarrow']);
const script = fileURLToPath(new URL('tables.py', import.meta.url));
const tables = z.record(z.string(), z.array(z.unknown()));

/** Lines of many scripts, and what tables stumble over. */
const texts = [
  ...sampleLines().filter((_, line) => line % 5 === 0),
  'a,b;c\td',
  '"',
  '""',
  '"quoted"',
  "'",
  'two\nlines',
  'two\r\nlines',
  ' padded ',
  'NULL',
  '=1+1',
  '\\n',
];

describe.skipIf(skips('conformance', { 'Python with pandas and pyarrow': python }))(
  'a table of pandas or pyarrow',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-tables-'));
    let written: z.infer<typeof tables>;

    beforeAll(() => {
      const run = spawnSync(python ?? '', [script, folder], { encoding: 'utf8', input: JSON.stringify(texts) });
      if (run.status !== 0) throw new Error(run.stderr.slice(-4000));
      written = tables.parse(JSON.parse(readFileSync(join(folder, 'written.json'), 'utf8')));
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    it('is read back as it was written, in every kind of file', async () => {
      expect(Object.keys(written).length).toBeGreaterThan(20);
      for (const [name, rows] of Object.entries(written)) {
        const records = await readRecords([join(folder, name)]);
        const read = records.map((record) => {
          const { id: _id, source: _source, kind: _kind, ...row } = record;
          return row;
        });
        expect(read, name).toEqual(rows);
      }
    });
  },
);

import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isWeftError } from '@weft/shared';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { dataLimits } from './limits.ts';
import { firstInvalidByte } from './lines.ts';
import { readRecords } from './read-records.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-data-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function put(name: string, content: string | Uint8Array): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, content);
  return file;
}

const rejection = async (...paths: string[]): Promise<{ code: string; message: string; details: object }> =>
  readRecords(paths).then(
    () => ({ code: 'accepted', message: '', details: {} }),
    (error: unknown) => {
      if (!isWeftError(error)) throw error;
      expect(error.cause, 'a cause may quote the data').toBeUndefined();
      return { code: error.code, message: error.message, details: error.details };
    },
  );

const texts = async (name: string, content: string | Uint8Array): Promise<unknown[]> =>
  (await readRecords([await put(name, content)])).map((record) => record.kind === 'text' && record.text);

test('a .txt file without blank lines is a list, one with blank lines has paragraphs', async () => {
  expect(await texts('a.txt', '\none\ntwo\r\nthree\n\n')).toEqual(['one', 'two', 'three']);
  expect(await texts('a.txt', 'one\ntwo\n \t\n\nthree')).toEqual(['one\ntwo', 'three']);
});

test('a .md file has paragraphs, and a byte order mark is left out', async () => {
  expect(await texts('a.md', '\uFEFF# Title\n\nA line\nand another')).toEqual(['# Title', 'A line\nand another']);
  expect(await texts('a.md', 'A line\nand another')).toEqual(['A line\nand another']);
});

test('each kind of .jsonl line becomes its record', async () => {
  const lines = [
    { text: 'plain' },
    { prompt: 'p', completion: 'c' },
    { messages: [{ role: 'user', content: 'u' }] },
    { input_ids: [1, 2], labels: [-100, 2] },
    { input_ids: [3] },
  ];
  const records = await readRecords([await put('a.jsonl', lines.map((line) => JSON.stringify(line)).join('\n\n'))]);
  expect(records.map(({ kind }) => kind)).toEqual(['text', 'promptCompletion', 'messages', 'ids', 'ids']);
  expect(records[3]).toMatchObject({
    inputIds: Int32Array.of(1, 2),
    labels: Int32Array.of(-100, 2),
    source: { line: 7 },
  });
  expect(new Set(records.map(({ id }) => id)).size).toBe(5);
});

test('a folder is read in order of name, with the folders in it, without hidden and foreign files', async () => {
  await mkdir(join(folder, 'b'));
  await put('c.txt', 'third');
  await put('a.txt', 'first');
  await put('b/x.txt', 'second');
  await put('.hidden.txt', 'hidden');
  await put('image.png', 'no');
  await symlink(folder, join(folder, 'b', 'circle'));
  expect((await readRecords([folder])).map((record) => record.kind === 'text' && record.text)).toEqual([
    'first',
    'second',
    'third',
  ]);
});

test('a record has the same id wherever it stands', async () => {
  const [a] = await readRecords([await put('a.txt', 'same')]);
  const [, b] = await readRecords([await put('b.jsonl', '{"text":"other"}\n{"text":"same"}')]);
  expect(b?.id).toBe(a?.id);
});

test('a file that is not UTF-8 is refused with the byte at which it stops being so', async () => {
  const file = await put(
    'a.txt',
    Buffer.concat([Buffer.from('good ñ\nsecret '), Buffer.from([0xe9]), Buffer.from('t\n')]),
  );
  expect(await rejection(file)).toEqual({
    code: 'WEFT_DATA_NOT_UTF8',
    message: 'line 2 is not UTF-8: byte 15 of the file begins no character',
    details: { file, line: 2, byteOffset: 15 },
  });
});

test('the first invalid byte is found in every ill-formed sequence of the standard', () => {
  const cases: [number[], number][] = [
    [[0x41, 0x80], 1], // a continuation by itself
    [[0xc3, 0xb1, 0xc0, 0xaf], 2], // an overlong form
    [[0xe2, 0x82, 0x41], 0], // cut short
    [[0xed, 0xa0, 0x80], 0], // a surrogate
    [[0xf0, 0x9f, 0x99, 0x82, 0xf5], 4], // beyond the last plane
    [[0x41, 0xe2, 0x82, 0xac], 4], // well-formed
  ];
  for (const [bytes, at] of cases) expect(firstInvalidByte(Uint8Array.from(bytes)), String(bytes)).toBe(at);
});

test('bad .jsonl lines are refused by number, and no message repeats what they hold', async () => {
  const secret = 'the-secret-of-the-data';
  const cases: [string, string, string][] = [
    [`{"text":"${secret}`, 'WEFT_DATA_MALFORMED', 'line 2 is not JSON'],
    [`["${secret}"]`, 'WEFT_DATA_MALFORMED', 'line 2 is not a JSON object'],
    [
      `{"txt":"${secret}"}`,
      'WEFT_DATA_MALFORMED',
      'line 2 has none of input_ids, messages, prompt and completion, text',
    ],
    [`{"prompt":"${secret}"}`, 'WEFT_DATA_MALFORMED', 'line 2 needs both prompt and completion as strings'],
    [
      `{"messages":[{"role":"user","text":"${secret}"}]}`,
      'WEFT_DATA_MALFORMED',
      'line 2 has a message without role and content as strings',
    ],
    ['{"messages":[]}', 'WEFT_DATA_MALFORMED', 'line 2 has messages that are no list'],
    ['{"input_ids":[]}', 'WEFT_DATA_MALFORMED', 'line 2 has no input_ids'],
    ['{"input_ids":[1,-2]}', 'WEFT_DATA_MALFORMED', 'line 2 has input_ids that are no list of token ids'],
    ['{"input_ids":[1,2.5]}', 'WEFT_DATA_MALFORMED', 'line 2 has input_ids that are no list of token ids'],
    ['{"input_ids":[1,4294967296]}', 'WEFT_DATA_MALFORMED', 'line 2 has input_ids that are no list of token ids'],
    ['{"labels":[1]}', 'WEFT_DATA_MALFORMED', 'line 2 has labels without input_ids'],
    ['{"input_ids":[1,2],"labels":[1]}', 'WEFT_DATA_LABELS_MISFIT', 'line 2 has 1 labels for 2 ids'],
    ['{"input_ids":[1,2],"labels":[1,-1]}', 'WEFT_DATA_LABELS_MISFIT', 'line 2 has a negative label other than -100'],
  ];
  for (const [line, code, message] of cases) {
    const file = await put('a.jsonl', `{"text":"fine"}\n${line}\n`);
    const refused = await rejection(file);
    expect(refused).toEqual({ code, message, details: { file, line: 2 } });
    expect(JSON.stringify(refused)).not.toContain(secret);
  }
});

test('empty files, foreign files and missing ones are refused', async () => {
  expect(await rejection(await put('a.txt', ''))).toMatchObject({
    code: 'WEFT_DATA_EMPTY',
    message: 'a data file holds no record in its 0 bytes',
  });
  expect(await rejection(await put('a.jsonl', '\n \n{"text":" "}\n'))).toMatchObject({ code: 'WEFT_DATA_EMPTY' });
  expect(await rejection(await put('a.xlsx', 'x'))).toMatchObject({ code: 'WEFT_DATA_FORMAT_UNKNOWN' });
  expect(await rejection(join(folder, 'none.txt'))).toMatchObject({
    code: 'WEFT_DATA_NOT_FOUND',
    message: 'there is no data that can be read at a path (ENOENT)',
  });
  await mkdir(join(folder, 'empty'));
  expect(await rejection(join(folder, 'empty'))).toMatchObject({ code: 'WEFT_DATA_NOT_FOUND' });
});

test('a link that leads nowhere is refused like a missing file', async () => {
  await symlink('nowhere', join(folder, 'a.txt'));
  expect(await rejection(folder)).toMatchObject({
    code: 'WEFT_DATA_NOT_FOUND',
    details: { path: join(folder, 'a.txt') },
  });
});

test('a line longer than the limit is refused before it is whole in memory', async () => {
  expect(await rejection(await put('a.txt', `x\n${'a'.repeat(dataLimits.lineBytes + 1)}\nx`))).toMatchObject({
    code: 'WEFT_DATA_LIMIT',
    message: 'line 2 has 16777217 bytes, the limit is 16777216 (lineBytes)',
  });
});

test('lines are whole where the reader cuts the file, also inside a character', async () => {
  const line = 'ñ'.repeat(700_001);
  expect(await texts('a.txt', `${line}\nx${line}\n`)).toEqual([line, `x${line}`]);
});

import { readdir, stat } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import { WeftError } from '@weft/shared';
import { readLines, type Line } from './lines.ts';
import { dataLimits } from './limits.ts';
import { parseJsonLine } from './parse-json-line.ts';
import { createRecord, type DataRecord, type RecordContent } from './record.ts';

type Located = RecordContent & { readonly line: number };

/** Extension → how the lines of such a file become records. */
const readers: Readonly<Record<string, (lines: AsyncIterable<Line>, file: string) => AsyncIterable<Located>>> = {
  '.txt': textRecords,
  '.md': paragraphRecords,
  '.jsonl': jsonRecords,
};

/** Every record of these files and folders, in order; folders in order of name, with what lies in them. */
export async function readRecords(paths: readonly string[]): Promise<DataRecord[]> {
  const records: DataRecord[] = [];
  for (const path of paths) {
    for (const file of await dataFiles(resolve(path))) {
      const before = records.length;
      const read = readers[extname(file).toLowerCase()] as (typeof readers)[string];
      for await (const { line, ...content } of read(readLines(file), file)) {
        records.push(createRecord(content, { file, line }));
        if (records.length > dataLimits.records) throw beyond('records', records.length);
      }
      if (records.length === before)
        throw new WeftError('WEFT_DATA_EMPTY', `a data file holds no record in its ${(await stat(file)).size} bytes`, {
          file,
        });
    }
  }
  return records;
}

async function dataFiles(path: string): Promise<string[]> {
  const entry = await stat(path).catch(unreadable(path));
  if (!entry.isDirectory()) {
    if (isData(path)) return [path];
    throw new WeftError(
      'WEFT_DATA_FORMAT_UNKNOWN',
      `a data file ends in ${extname(path) || 'nothing'}; Weft reads .txt, .md and .jsonl`,
      { path },
    );
  }
  const files = await filesBelow(path, 1);
  if (files.length === 0)
    throw new WeftError('WEFT_DATA_NOT_FOUND', 'the data folder holds no .txt, .md or .jsonl file', { path });
  if (files.length > dataLimits.files) throw beyond('files', files.length);
  return files;
}

/** The system's own message would name the path. */
const unreadable =
  (path: string) =>
  (error: unknown): never => {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw new WeftError('WEFT_DATA_NOT_FOUND', `there is no data that can be read at a path (${reason})`, { path });
  };

const isData = (name: string): boolean => Object.hasOwn(readers, extname(name).toLowerCase());

/** Hidden entries are left out; symbolic links to folders are not followed, so that none leads in circles. */
async function filesBelow(folder: string, depth: number): Promise<string[]> {
  if (depth > dataLimits.folderDepth) throw beyond('folderDepth', depth);
  const files: string[] = [];
  const entries = await readdir(folder, { withFileTypes: true }).catch(unreadable(folder));
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) files.push(...(await filesBelow(path, depth + 1)));
    else if (isData(entry.name) && (entry.isFile() || (await stat(path).catch(unreadable(path))).isFile()))
      files.push(path);
  }
  return files;
}

const beyond = (name: keyof typeof dataLimits, actual: number): WeftError =>
  new WeftError('WEFT_DATA_LIMIT', `${name} is ${actual}, the limit is ${dataLimits[name]}`, {
    limit: `data.${name}`,
    actual,
  });

async function* jsonRecords(lines: AsyncIterable<Line>, file: string): AsyncGenerator<Located> {
  for await (const { number, text } of lines) {
    if (isBlank(text)) continue;
    const content = parseJsonLine(text, { file, line: number });
    if (content.kind === 'text' && isBlank(content.text)) continue;
    yield { ...content, line: number };
  }
}

async function* paragraphRecords(lines: AsyncIterable<Line>): AsyncGenerator<Located> {
  let paragraph: Line[] = [];
  for await (const line of lines) {
    if (!isBlank(line.text)) {
      paragraph.push(line);
    } else if (paragraph.length > 0) {
      yield textOf(paragraph);
      paragraph = [];
    }
  }
  if (paragraph.length > 0) yield textOf(paragraph);
}

/** A text with blank lines between other lines has paragraphs; one without is a list, a record a line. */
async function* textRecords(lines: AsyncIterable<Line>): AsyncGenerator<Located> {
  const all: Line[] = [];
  for await (const line of lines) all.push(line);
  const first = all.findIndex(({ text }) => !isBlank(text));
  const last = all.findLastIndex(({ text }) => !isBlank(text));
  const body = first < 0 ? [] : all.slice(first, last + 1);
  if (body.some(({ text }) => isBlank(text))) yield* paragraphRecords(asyncOf(body));
  else for (const line of body) yield textOf([line]);
}

async function* asyncOf<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

const isBlank = (text: string): boolean => text.trim().length === 0;
const textOf = (lines: readonly Line[]): Located => ({
  kind: 'text',
  text: lines.map(({ text }) => text).join('\n'),
  line: lines[0]?.number ?? 0,
});

import type { Line } from './lines.ts';
import { parseJsonLine } from './parse-json-line.ts';
import type { LocatedContent } from './record.ts';

/** A .jsonl file: a record a line. */
export async function* jsonRecords(lines: AsyncIterable<Line>, file: string): AsyncGenerator<LocatedContent> {
  for await (const { number, text } of lines) {
    if (isBlank(text)) continue;
    const source = { file, line: number };
    const content = parseJsonLine(text, source);
    if (content.kind === 'text' && isBlank(content.text)) continue;
    yield { content, source };
  }
}

/** A .md file: blank lines part the records. */
export async function* paragraphRecords(lines: AsyncIterable<Line>, file: string): AsyncGenerator<LocatedContent> {
  let paragraph: Line[] = [];
  for await (const line of lines) {
    if (!isBlank(line.text)) {
      paragraph.push(line);
    } else if (paragraph.length > 0) {
      yield textOf(paragraph, file);
      paragraph = [];
    }
  }
  if (paragraph.length > 0) yield textOf(paragraph, file);
}

/** A text with blank lines between other lines has paragraphs; one without is a list, a record a line. */
export async function* textRecords(lines: AsyncIterable<Line>, file: string): AsyncGenerator<LocatedContent> {
  const all: Line[] = [];
  for await (const line of lines) all.push(line);
  const first = all.findIndex(({ text }) => !isBlank(text));
  const last = all.findLastIndex(({ text }) => !isBlank(text));
  const body = first < 0 ? [] : all.slice(first, last + 1);
  if (body.some(({ text }) => isBlank(text))) yield* paragraphRecords(asyncOf(body), file);
  else for (const line of body) yield textOf([line], file);
}

export const isBlank = (text: string): boolean => text.trim().length === 0;

async function* asyncOf<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

const textOf = (lines: readonly Line[], file: string): LocatedContent => ({
  content: { kind: 'text', text: lines.map(({ text }) => text).join('\n') },
  source: { file, line: lines[0]?.number ?? 0 },
});

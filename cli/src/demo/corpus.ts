import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * The demo's text: the compiler messages that the npm package typescript@5.9.3 carries (Apache-2.0) in thirteen
 * translations of one list. TypeScript 7, which builds this repository, carries none, hence the alias.
 */
export const locales = ['cs', 'de', 'es', 'fr', 'it', 'ja', 'ko', 'pl', 'pt-br', 'ru', 'tr', 'zh-cn', 'zh-tw'] as const;
export type Locale = (typeof locales)[number];

export interface Message {
  /** Names the message in every language, `Identifier_expected_1003`. */
  readonly key: string;
  readonly text: string;
}

/** Share of the keys that nobody trains on. */
export const heldOutShare = 0.1;

const packageFolder = dirname(createRequire(import.meta.url).resolve('typescript-messages/package.json'));

/**
 * In the order of the keys' hashes: the list is alphabetical, and neighbours that say nearly the same would give each
 * other away where texts share a row.
 */
export function readCorpus(locale: Locale): Message[] {
  const file = join(packageFolder, 'lib', locale, 'diagnosticMessages.generated.json');
  const messages = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
  return Object.entries(messages)
    .map(([key, text]) => ({ key, text }))
    .sort(byHash);
}

/** The list that the translations were made from; it stands in the compiler's own table, as calls of `diag`. */
export function readEnglishCorpus(): Message[] {
  const compiler = readFileSync(join(packageFolder, 'lib', 'typescript.js'), 'utf8');
  const quoted = String.raw`("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\`(?:[^\`\\$]|\\.)*\`)`;
  const entry = new RegExp(String.raw`\bdiag\(\s*[\de]+,\s*\d+ \/\* \w+ \*\/,\s*${quoted},\s*${quoted}`, 'g');
  return Array.from(compiler.matchAll(entry), ([, key, text]) => ({
    key: unquote(key ?? ''),
    text: unquote(text ?? ''),
  })).sort(byHash);
}

const hashes = new Map<string, number>();

function hashKey(key: string): number {
  let hash = hashes.get(key);
  if (hash === undefined) hashes.set(key, (hash = createHash('sha256').update(key).digest().readUInt32BE(0)));
  return hash;
}

const byHash = (a: Message, b: Message): number => hashKey(a.key) - hashKey(b.key) || (a.key < b.key ? -1 : 1);

/** The text of a JavaScript string literal, whichever quotes it stands in. */
function unquote(literal: string): string {
  const body = literal.slice(1, -1).replaceAll(/\\(.)/g, (escape, char: string) => (/['`]/.test(char) ? char : escape));
  return JSON.parse(`"${body.replaceAll(/(?<!\\)"/g, String.raw`\"`)}"`) as string;
}

/** Decided by the key alone, so a held-out message is held out in every language. */
export function isHeldOut(key: string): boolean {
  return hashKey(key) < heldOutShare * 2 ** 32;
}

export function heldOutMessages(locale: Locale): Message[] {
  return readCorpus(locale).filter(({ key }) => isHeldOut(key));
}

let everyHeldOutText: ReadonlySet<string> | undefined;

/**
 * Two keys may carry one text ("Version {0}" in several languages): a text that is held out anywhere is left out
 * everywhere, whatever its key.
 */
function heldOutTexts(): ReadonlySet<string> {
  everyHeldOutText ??= new Set(
    [...locales.map(readCorpus), readEnglishCorpus()]
      .flat()
      .filter(({ key }) => isHeldOut(key))
      .map(({ text }) => text),
  );
  return everyHeldOutText;
}

export function withoutHeldOut(messages: readonly Message[]): Message[] {
  const texts = heldOutTexts();
  return messages.filter(({ key, text }) => !isHeldOut(key) && !texts.has(text));
}

export function trainingMessages(locale: Locale): Message[] {
  return withoutHeldOut(readCorpus(locale));
}

/** Writes a node's private data, one JSON line `{"text"}` a message, and says how many. */
export async function writeNodeData(dir: string, locale: Locale): Promise<{ file: string; examples: number }> {
  return writeMessages(join(dir, `${locale}.jsonl`), trainingMessages(locale));
}

/** Writes the messages of a language that every adapter is scored on. */
export async function writeHeldOutData(dir: string, locale: Locale): Promise<{ file: string; examples: number }> {
  return writeMessages(join(dir, `${locale}.held-out.jsonl`), heldOutMessages(locale));
}

async function writeMessages(file: string, messages: readonly Message[]): Promise<{ file: string; examples: number }> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, messages.map(({ text }) => `${JSON.stringify({ text })}\n`).join(''));
  return { file, examples: messages.length };
}

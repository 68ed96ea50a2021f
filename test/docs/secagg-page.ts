import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { secagg } from '@weft/shared';

// The tables of docs/secagg-wire.md are this file's output: `pnpm docs:secagg` writes them, and a test compares.

const root = fileURLToPath(new URL('../..', import.meta.url));
export const pageFile = join(root, 'docs/secagg-wire.md');
const checksFile = join(root, 'shared/src/secagg/node-checks.ts');

const headerFields = ['version', 'type', 'roundId', 'sessionId', 'index'];

type Fields = Readonly<Record<string, { readonly form: string }>>;
const rows = (fields: Fields): string[] =>
  Object.entries(fields).map(([field, { form }]) => `| \`${field}\` | ${form} |`);
const heading = '| field | form |\n| --- | --- |';

function bodyTables(): string {
  const names = Object.entries(secagg.bodies).map(([name, { type }]) => `| ${type} | ${name} |`);
  const { offer } = secagg.bodies;
  const header = rows(offer.layout.fields).slice(0, headerFields.length);
  const tables = Object.entries<{ type: number; layout: { fields: Fields } }>(secagg.bodies).map(
    ([name, { type, layout }]) =>
      `**${name}** (type ${type}), behind the header:\n\n${heading}\n${rows(layout.fields).slice(headerFields.length).join('\n')}`,
  );
  return [
    `| type | body |\n| --- | --- |\n${names.join('\n')}`,
    `**The header:**\n\n${heading}\n${header.join('\n')}`,
    ...tables,
  ].join('\n\n');
}

/** Each check with the line of words that stands over it in the source, by step. */
export function checksByStep(): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const source = readFileSync(checksFile, 'utf8');
  return new Map(
    Object.entries(secagg.nodeChecks).map(([step, checks]) => [
      step,
      new Map(
        Object.keys(checks).map((check) => {
          const words = new RegExp(String.raw`/\*\* ([^\n]+) \*/\s+${check}:`).exec(source)?.[1];
          if (words === undefined) throw new Error(`${check} has no line of words above it in ${checksFile}`);
          return [check, words];
        }),
      ),
    ]),
  );
}

function checkTable(): string {
  const lines = [...checksByStep()].flatMap(([step, checks]) =>
    [...checks].map(([check, words]) => `| ${step} | \`${check}\` | ${words} |`),
  );
  return `| on | check | holds if |\n| --- | --- | --- |\n${lines.join('\n')}`;
}

const made: Readonly<Record<string, () => string>> = {
  bodies: bodyTables,
  cutProof: () => `${heading}\n${rows(secagg.cutProofLayout.fields).join('\n')}`,
  checks: checkTable,
};

/** The page with its tables made anew; what stands outside the marks stays. */
export const secaggPage = (page: string): string =>
  Object.entries(made).reduce((text, [mark, make]) => {
    const [open, close] = [`<!-- ${mark} -->\n`, `<!-- /${mark} -->`];
    const [before, rest] = text.split(open);
    const [, after] = (rest ?? '').split(close);
    if (before === undefined || after === undefined) throw new Error(`${pageFile} has no marks for ${mark}`);
    return `${before}${open}${make()}\n${close}${after}`;
  }, page);

if (import.meta.main) writeFileSync(pageFile, secaggPage(readFileSync(pageFile, 'utf8')));

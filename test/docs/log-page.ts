import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { log } from '@weft/shared';

// The tables of docs/log.md are this file's output: `pnpm docs:log` writes them, and a test compares.

export const pageFile = join(fileURLToPath(new URL('../..', import.meta.url)), 'docs/log.md');

type Fields = Readonly<Record<string, { readonly form: string }>>;

const tables = (): string =>
  Object.entries<{ type: number; layout: { fields: Fields } }>(log.leaves)
    .map(([name, { type, layout }]) => {
      const rows = Object.entries(layout.fields).map(([field, { form }]) => `| \`${field}\` | ${form} |`);
      return `**${name}** (type ${type}):\n\n| field | form |\n| --- | --- |\n${rows.join('\n')}`;
    })
    .join('\n\n');

/** The page with its tables made anew; what stands outside the marks stays. */
export const logPage = (page: string): string =>
  page.replace(/<!-- leaves -->[^]*<!-- \/leaves -->/, () => `<!-- leaves -->\n${tables()}\n<!-- /leaves -->`);

if (import.meta.main) writeFileSync(pageFile, logPage(readFileSync(pageFile, 'utf8')));

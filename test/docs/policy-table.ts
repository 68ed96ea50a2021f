import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defaultPolicy, docOf, policyKeys } from '@weft/node-agent';

// A part of docs/security.md is this file's output: `pnpm docs:policy` writes it, and a test compares.

export const securityPage = fileURLToPath(new URL('../../docs/security.md', import.meta.url));

const [begin, end] = ['<!-- policy: `pnpm docs:policy` writes it -->\n', '<!-- end -->\n'];

/** A row for each key, in the order of the file. */
const policyTable = (): string =>
  `\n| key | without a file | what it says |\n| --- | --- | --- |\n${policyKeys
    .map((key) => `| \`${key}\` | ${[defaultPolicy[key]].flat().join(', ')} | ${docOf(key)} |\n`)
    .join('')}\n`;

/** The page as it should be. */
export const withPolicyTable = (page: string): string => {
  const from = page.indexOf(begin) + begin.length;
  return page.slice(0, from) + policyTable() + page.slice(page.indexOf(end, from));
};

if (import.meta.main) writeFileSync(securityPage, withPolicyTable(readFileSync(securityPage, 'utf8')));

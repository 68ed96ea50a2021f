import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { catalogue } from '@weft/shared';

// docs/errors.md is this file's output: `pnpm docs:errors` writes it, and a test compares.

const root = fileURLToPath(new URL('../..', import.meta.url));
export const tableFile = join(root, 'docs/errors.md');

const opening = `# Errors

Every error that Weft reports has a code. This page is made from the catalogue in \`shared/src/errors\` by
\`pnpm docs:errors\`; a test keeps the two the same, and sees that every code is thrown somewhere.

The command line prints what happened with the code, then what to do; with \`--json\` the same as one JSON object on
standard error. Exit codes: 0 done, 1 a fault of Weft, 2 usage or configuration, 3 input data, 4 refused by the other
side, 5 not reachable, 6 this machine lacks something (disk, memory, port, runtime), 130 interrupted.

| code | what to do | exit | gRPC | HTTP | try again |
| --- | --- | --- | --- | --- | --- |
`;

/** The page, a row for each code in alphabetical order. */
export const errorTable = (): string =>
  opening +
  Object.entries(catalogue)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([code, { todo, exit, grpc, http, retry }]) =>
        `| \`${code}\` | ${todo.replaceAll('|', String.raw`\|`)} | ${exit} | ${grpc} | ${http} | ${retry ? 'yes' : 'no'} |\n`,
    )
    .join('');

/** Codes that the source names in quotes, outside the catalogue itself and outside tests. */
export const usedCodes = (): ReadonlySet<string> => {
  const files = globSync('{shared,trainer,node-agent,coordinator,cli}/{src,bin,web}/**/*.{ts,tsx,mjs}', {
    cwd: root,
    exclude: ['**/node_modules/**', '**/*.test.ts', 'shared/src/errors/**'],
  });
  const codes = files.flatMap((file) => readFileSync(join(root, file), 'utf8').match(/\bWEFT_[A-Z0-9_]+\b/g) ?? []);
  return new Set(codes);
};

if (import.meta.main) writeFileSync(tableFile, errorTable());

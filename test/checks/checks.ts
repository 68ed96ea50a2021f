import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findForbiddenImports } from './import-direction.ts';

export interface CheckResult {
  readonly passed: boolean;
  readonly output: string;
}

export interface Check {
  readonly name: string;
  run(root: string): CheckResult;
}

/** A tool that takes longer walks where it should not. */
const toolTimeoutMs = 120_000;

const bin = fileURLToPath(new URL('../../node_modules/.bin', import.meta.url));

/** Runs a tool of this repository's node_modules in `root`. */
export const runTool = (root: string, tool: string, args: readonly string[]): CheckResult => {
  const { status, stdout, stderr, error } = spawnSync(join(bin, tool), args, {
    cwd: root,
    encoding: 'utf8',
    timeout: toolTimeoutMs,
  });
  return { passed: status === 0, output: `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}` };
};

const tool = (name: string, command: string, ...args: string[]): Check => ({
  name,
  run: (root) => runTool(root, command, args),
});

/** The page runs in a browser and has its own libraries, so its own tsconfig. */
const webTypes: Check = {
  name: 'types of the admin page',
  run: (root) => {
    const project = join(root, 'coordinator/web/tsconfig.json');
    if (!existsSync(project)) return { passed: false, output: `${project} is not there` };
    return runTool(root, 'tsc', ['--noEmit', '-p', project]);
  },
};

const importDirection: Check = {
  name: 'import direction',
  run: (root) => {
    const found = findForbiddenImports(root);
    return { passed: found.length === 0, output: found.map((f) => `${f.file}: ${f.specifier}: ${f.why}\n`).join('') };
  },
};

/** What must hold of the source as it stands, beside the tests. */
export const checks: readonly Check[] = [
  tool('types', 'tsc', '--noEmit', '-p', 'tsconfig.json'),
  webTypes,
  tool('lint', 'oxlint', '--type-aware', '--deny-warnings'),
  tool('format', 'oxfmt', '--check'),
  tool('unused files, exports and dependencies', 'knip'),
  tool('protocol definitions', 'buf', 'lint', 'proto'),
  importDirection,
];

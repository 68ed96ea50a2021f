import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { runTool, type CheckResult } from './checks.ts';

// A check that passes everything looks like one that works. Each is shown a clean file, which must pass under
// this repository's own configuration, and then a fault, which must not.

const root = fileURLToPath(new URL('../..', import.meta.url));
const folders: string[] = [];

/** A copy of the configuration in a folder with one source file. */
const check = (tool: string, args: readonly string[], files: Readonly<Record<string, string>>): CheckResult => {
  // outside the repository, whose .gitignore would hide the folder from the tools
  const folder = mkdtempSync(join(tmpdir(), 'weft-planted-'));
  folders.push(folder);
  for (const name of ['tsconfig.base.json', 'tsconfig.json', '.oxlintrc.json', '.oxfmtrc.json', '.gitignore']) {
    cpSync(join(root, name), join(folder, name));
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return runTool(folder, tool, args);
};

const clean = 'export const answer = (): number => 42;\n';

describe('a planted fault is found by', () => {
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  it('the type check', () => {
    const args = ['--noEmit', '-p', 'tsconfig.json'];
    expect(check('tsc', args, { 'shared/src/x.ts': clean })).toMatchObject({ passed: true });
    const wrong = check('tsc', args, { 'shared/src/x.ts': "export const answer: number = 'a text';\n" });
    expect(wrong.passed).toBe(false);
    expect(wrong.output).toContain('TS2322');
    const unchecked = check('tsc', args, {
      'shared/src/x.ts': 'export const first = (list: string[]): string => list[0];\n',
    });
    expect(unchecked.output).toContain('TS2322');
  });

  it('the lint check, type-aware rules included', () => {
    const args = ['--type-aware', '--deny-warnings', 'shared'];
    expect(check('oxlint', args, { 'shared/src/x.ts': clean })).toMatchObject({ passed: true });
    const floating =
      'const later = async (): Promise<number> => 1;\nexport const start = (): void => {\n  later();\n};\n';
    const found = check('oxlint', args, { 'shared/src/x.ts': floating });
    expect(found.passed).toBe(false);
    expect(found.output).toContain('no-floating-promises');
    const any = check('oxlint', args, { 'shared/src/x.ts': 'export const x = (y: any): number => y;\n' });
    expect(any.output).toContain('no-explicit-any');
  });

  it('the format check', () => {
    expect(check('oxfmt', ['--check', 'shared'], { 'shared/src/x.ts': clean })).toMatchObject({ passed: true });
    const found = check('oxfmt', ['--check', 'shared'], {
      'shared/src/x.ts': 'export const   answer=()=>{return "42"}\n',
    });
    expect(found.passed).toBe(false);
  });
});

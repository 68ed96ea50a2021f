import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findForbiddenImports, importSpecifiers } from './import-direction.ts';

const folderWith = (files: Record<string, string>): string => {
  const root = mkdtempSync(join(tmpdir(), 'weft-imports-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
};

const forbidden = (name: string, text: string): string[] =>
  findForbiddenImports(folderWith({ [name]: text })).map(({ why }) => why);

describe('import direction', () => {
  it('reads every form of import, and none in a comment', () => {
    const source = [
      "import a from '@weft/a';",
      "import {\n  b,\n  type C,\n} from '@weft/b';",
      "export * from './d.ts';",
      "import '@weft/e';",
      "const f = await import('@weft/f');",
      "// import g from '@weft/g';",
      "/* import h from '@weft/h'; */",
      "import type { I } from '@weft/i';",
    ].join('\n');
    expect(importSpecifiers(source)).toEqual(['@weft/a', '@weft/b', './d.ts', '@weft/e', '@weft/f', '@weft/i']);
  });

  it('refuses a package that imports against the direction', () => {
    expect(forbidden('shared/src/x.ts', "import { train } from '@weft/trainer';")).toEqual([
      'shared may not import trainer',
    ]);
    expect(forbidden('coordinator/src/x.ts', "export * from '@weft/node-agent';")).toEqual([
      'coordinator may not import node-agent',
    ]);
    expect(forbidden('proto/src/x.ts', "const shared = await import('@weft/shared');")).toHaveLength(1);
  });

  it("refuses another package's files, by name and by path", () => {
    expect(forbidden('cli/src/x.ts', "import { x } from '@weft/trainer/src/x.ts';")).toHaveLength(1);
    expect(forbidden('cli/src/x.ts', "import { x } from '../../trainer/src/x.ts';")).toEqual([
      'a relative path leads from cli into trainer',
    ]);
  });

  it('lets the table pass', () => {
    expect(forbidden('node-agent/src/x.ts', "import { a } from '@weft/trainer';\nimport { b } from './b.ts';")).toEqual(
      [],
    );
    expect(forbidden('test/x.test.ts', "import { a } from '@weft/coordinator';\nimport { b } from './b.ts';")).toEqual(
      [],
    );
  });
});

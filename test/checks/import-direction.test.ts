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
      "import a from '@weft/cli';",
      "import {\n  b,\n  type C,\n} from '@weft/coordinator';",
      "export * from './d.ts';",
      "import '@weft/proto';",
      "const f = await import('@weft/shared');",
      "// import g from '@weft/trainer';",
      "/* import h from '@weft/trainer'; */",
      "import type { I } from '@weft/node-agent';",
    ].join('\n');
    expect(importSpecifiers(source)).toEqual([
      '@weft/cli',
      '@weft/coordinator',
      './d.ts',
      '@weft/proto',
      '@weft/shared',
      '@weft/node-agent',
    ]);
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

  it('takes a path that the package exports, and no other', () => {
    const exporting = '{ "exports": { ".": "./src/index.ts", "./onnx": "./src/onnx.ts" } }';
    const root = folderWith({
      'proto/package.json': exporting,
      'trainer/src/x.ts': "import { a } from '@weft/proto/onnx';\nimport { b } from '@weft/proto/other';",
    });
    expect(findForbiddenImports(root).map(({ specifier }) => specifier)).toEqual(['@weft/proto/other']);
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

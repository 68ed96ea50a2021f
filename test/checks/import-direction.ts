import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

/** Who may import whom: one way, no circles. A folder that is not named here imports nothing of ours. */
export const allowedImports: Readonly<Record<string, readonly string[]>> = {
  proto: [],
  shared: ['proto'],
  trainer: ['shared', 'proto'],
  'node-agent': ['trainer', 'shared', 'proto'],
  coordinator: ['trainer', 'shared', 'proto'],
  cli: ['coordinator', 'node-agent', 'trainer', 'shared', 'proto'],
  test: ['cli', 'coordinator', 'node-agent', 'trainer', 'shared', 'proto'],
};

export interface ForbiddenImport {
  readonly file: string;
  readonly specifier: string;
  readonly why: string;
}

/** `import … from 'x'`, `export … from 'x'`, `import 'x'`, `import('x')`; statements may run over lines. */
const specifierPattern =
  /(?:^|[\s;}])(?:import|export)\b[^'"`;]*?\bfrom\s*(['"])(?<from>[^'"]+)\1|(?:^|[\s;(=])import\s*\(?\s*(['"])(?<bare>[^'"]+)\3/gm;

/** Comments out, so that an import in prose does not count; strings with `//` in them survive as far as imports go. */
const withoutComments = (source: string): string =>
  source.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');

export const importSpecifiers = (source: string): string[] =>
  [...withoutComments(source).matchAll(specifierPattern)].map(
    (match) => match.groups?.['from'] ?? match.groups?.['bare'] ?? '',
  );

const ownName = /^@weft\/(?<folder>[^/]+)(?<deeper>\/.*)?$/;

/** What a package lets others import, as its package.json says. */
const exportsOf = (root: string, folder: string): readonly string[] => {
  const manifest = join(root, folder, 'package.json');
  if (!existsSync(manifest)) return [];
  const { exports }: { exports?: Readonly<Record<string, string>> } = JSON.parse(readFileSync(manifest, 'utf8'));
  return Object.keys(exports ?? {});
};

const judge = (folder: string, file: string, specifier: string, root: string): string | undefined => {
  const allowed = allowedImports[folder] ?? [];
  const own = ownName.exec(specifier)?.groups;
  if (own !== undefined) {
    const target = own['folder'] ?? '';
    if (own['deeper'] !== undefined && !exportsOf(root, target).includes(`.${own['deeper']}`)) {
      return "reaches into another package's files";
    }
    return target === folder || allowed.includes(target) ? undefined : `${folder} may not import ${target}`;
  }
  if (!specifier.startsWith('.')) return undefined;
  const target = relative(root, resolve(dirname(file), specifier)).split(sep)[0] ?? '';
  // a test beside the code may ask what this machine offers, and tests try what is deployed
  if (
    target === folder ||
    (target === 'test' && file.endsWith('.test.ts')) ||
    (folder === 'test' && target === 'deploy')
  )
    return undefined;
  return `a relative path leads from ${folder} into ${target}`;
};

/** Every import below `root` that goes against the table. */
export const findForbiddenImports = (root: string): ForbiddenImport[] =>
  Object.keys(allowedImports).flatMap((folder) =>
    globSync(`${folder}/**/*.{ts,tsx,mjs}`, { cwd: root, exclude: ['**/node_modules/**', '**/dist/**'] }).flatMap(
      (name) => {
        const file = join(root, name);
        return importSpecifiers(readFileSync(file, 'utf8')).flatMap((specifier) => {
          const why = judge(folder, file, specifier, root);
          return why === undefined ? [] : [{ file: name, specifier, why }];
        });
      },
    ),
  );

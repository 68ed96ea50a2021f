import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { writePage } from '../../coordinator/web/bundle.ts';

// Builds the npm package `weft`: Node strips no types below node_modules, so every file of the workspace is written as
// JavaScript, in the same layout below dist/. What a module finds beside itself in a checkout (a worker, the bundled
// model, the page) it finds in the package as well.

const root = fileURLToPath(new URL('../..', import.meta.url));
const packages = ['proto', 'shared', 'trainer', 'node-agent', 'coordinator', 'cli'] as const;

interface Manifest {
  readonly version: string;
  readonly license: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly exports?: Readonly<Record<string, string>>;
}

const manifestOf = (folder: string): Manifest => JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));

/** What a package's name, with or without something behind it, stands for. */
const exportedFile = (name: string, subpath: string): string => {
  const source = manifestOf(name).exports?.[`.${subpath}`];
  if (source === undefined) throw new Error(`@weft/${name} exports no ${subpath}`);
  return join(name, source).replace(/\.ts$/, '.js');
};

/** `'./x.ts'` becomes `'./x.js'`, and `'@weft/shared'` the relative path of its index. */
const rewriteSpecifiers = (code: string, file: string): string =>
  code
    .replaceAll(/(['"])(\.{1,2}\/[^'"\n]*)\.ts\1/g, '$1$2.js$1')
    .replaceAll(/(['"])@weft\/([a-z-]+)((?:\/[a-z-]+)*)\1/g, (_match, quote: string, name: string, subpath: string) => {
      const path = relative(dirname(file), exportedFile(name, subpath)).split(sep).join('/');
      return `${quote}${path.startsWith('.') ? path : `./${path}`}${quote}`;
    });

/** Everything that runs, as JavaScript; lines stay where they are, so that a stack names the line of the source. */
const writeSources = (dist: string): void => {
  const files = globSync(`{${packages.join(',')}}/{src,bin,web}/**/*`, {
    cwd: root,
    exclude: ['**/node_modules/**', '**/*.{test.ts,d.mts,md}', '**/tsconfig.json', 'coordinator/web/{src,public}/**'],
    withFileTypes: true,
  });
  for (const entry of files) {
    if (!entry.isFile()) continue;
    const file = relative(root, join(entry.parentPath, entry.name));
    const target = join(dist, file.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    if (file.endsWith('.ts')) {
      writeFileSync(target, rewriteSpecifiers(stripTypeScriptTypes(readFileSync(join(root, file), 'utf8')), file));
    } else {
      cpSync(join(root, file), target);
    }
  }
};

/** The page is finished in the package: its bundler and its libraries stay at home. */
const pageOnly = ['esbuild', 'preact', '@preact/signals', 'uplot'];

/** What the workspace packages need from the registry, as one list. */
const externalDependencies = (): Record<string, string> =>
  Object.fromEntries(
    packages
      .flatMap((folder) => Object.entries(manifestOf(folder).dependencies))
      .filter(([name]) => !name.startsWith('@weft/') && !pageOnly.includes(name))
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );

/** Writes the package's folder, ready for `npm pack`. */
export const buildPackage = async (folder: string): Promise<void> => {
  rmSync(folder, { recursive: true, force: true });
  const dist = join(folder, 'dist');
  writeSources(dist);
  await writePage(join(dist, 'coordinator/web/page'));
  cpSync(join(root, 'models'), join(dist, 'models'), { recursive: true });
  const { version, license } = manifestOf('cli');
  cpSync(join(root, 'cli/package.json'), join(dist, 'cli/package.json'));
  const manifest = {
    name: 'weft',
    version,
    license,
    description: 'Fine-tunes open-weight models on data that never moves',
    type: 'module',
    engines: { node: '>=24' },
    bin: { weft: 'dist/cli/bin/weft.mjs' },
    files: ['dist'],
    dependencies: externalDependencies(),
  };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  for (const name of ['README.md', 'LICENSE']) cpSync(join(root, name), join(folder, name));
};

if (import.meta.main) {
  const folder = process.argv[2] ?? join(root, 'deploy/npm/dist');
  await buildPackage(folder);
  process.stderr.write(`wrote the package to ${folder}: npm pack ${folder}\n`);
}

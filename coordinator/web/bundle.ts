import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PageFile {
  readonly type: string;
  readonly body: Uint8Array;
}

export interface Page {
  /** By URL path; `/` is the page itself. */
  readonly files: ReadonlyMap<string, PageFile>;
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const entry = './src/main.tsx';

const toPage = (files: Iterable<readonly [string, Uint8Array]>): Page => ({
  files: new Map(
    [...files].map(([name, body]) => {
      const type = types[extname(name)];
      if (type === undefined) throw new Error(`the page has a file of unknown type: ${name}`);
      return [name === 'index.html' ? '/' : `/${name}`, { type, body }];
    }),
  ),
});

const readFolder = async (folder: string): Promise<(readonly [string, Uint8Array])[]> =>
  Promise.all((await readdir(folder)).map(async (name) => [name, await readFile(join(folder, name))] as const));

const bundleSources = async (): Promise<Page> => {
  // a package for npm carries the finished page and no bundler
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: { main: at(entry) },
    outdir: at('./page/'),
    write: false,
    bundle: true,
    // what only the form for a new run needs (a YAML parser) is loaded with that form
    splitting: true,
    format: 'esm',
    target: 'es2023',
    minify: true,
    jsx: 'automatic',
    jsxImportSource: 'preact',
    logLevel: 'silent',
  });
  return toPage([
    ...(await readFolder(at('./public/'))),
    ...outputFiles.map(({ path, contents }) => [basename(path), contents] as const),
  ]);
};

/** The page's files, bundled from source in a checkout; elsewhere those that `writePage` left beside this module. */
export const bundlePage = async (): Promise<Page> =>
  existsSync(at(entry)) ? bundleSources() : toPage(await readFolder(at('./page/')));

/** For packing: writes what a later `bundlePage` reads from `page/` beside its own module. */
export const writePage = async (folder: string): Promise<void> => {
  const { files } = await bundleSources();
  await mkdir(folder, { recursive: true });
  await Promise.all(
    [...files].map(async ([path, { body }]) => writeFile(join(folder, path === '/' ? 'index.html' : path), body)),
  );
};

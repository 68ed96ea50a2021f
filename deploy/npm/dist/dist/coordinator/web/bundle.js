import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

                           
                        
                            
 

                       
                                             
                                                
 

const types                                   = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const at = (path        )         => fileURLToPath(new URL(path, import.meta.url));
const entry = './src/main.tsx';

const toPage = (files                                         )       => ({
  files: new Map(
    [...files].map(([name, body]) => {
      const type = types[extname(name)];
      if (type === undefined) throw new Error(`the page has a file of unknown type: ${name}`);
      return [name === 'index.html' ? '/' : `/${name}`, { type, body }];
    }),
  ),
});

const readFolder = async (folder        )                                             =>
  Promise.all((await readdir(folder)).map(async (name) => [name, await readFile(join(folder, name))]         ));

const bundleSources = async ()                => {
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
    ...outputFiles.map(({ path, contents }) => [basename(path), contents]         ),
  ]);
};

/** The page's files, bundled from source in a checkout; elsewhere those that `writePage` left beside this module. */
export const bundlePage = async ()                =>
  existsSync(at(entry)) ? bundleSources() : toPage(await readFolder(at('./page/')));

/** For packing: writes what a later `bundlePage` reads from `page/` beside its own module. */
export const writePage = async (folder        )                => {
  const { files } = await bundleSources();
  await mkdir(folder, { recursive: true });
  await Promise.all(
    [...files].map(async ([path, { body }]) => writeFile(join(folder, path === '/' ? 'index.html' : path), body)),
  );
};

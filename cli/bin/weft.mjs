#!/usr/bin/env node
// Loadable by Node 18, which can neither strip types nor load the native modules: it only checks, then imports.
import { existsSync } from 'node:fs';
import process from 'node:process';
import { pathToFileURL, fileURLToPath } from 'node:url';
import { nodeComplaint } from './node-version.mjs';

const complaint = nodeComplaint(process.versions.node);
if (complaint === undefined) {
  const { keepCompiledCode } = await import('./code-cache.mjs');
  keepCompiledCode();
  const source = fileURLToPath(new URL('../src/main.ts', import.meta.url));
  const built = fileURLToPath(new URL('../src/main.js', import.meta.url));
  const { main } = await import(pathToFileURL(existsSync(source) ? source : built).href);
  await main(process.argv.slice(2));
} else {
  process.stderr.write(`${complaint}\n`);
  process.exitCode = 6;
}

import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { WeftError } from '@weft/shared';

/** WEFT_CACHE, else the XDG cache folder's `weft`, else `~/.cache/weft`. */
export function defaultCacheDir(env: NodeJS.ProcessEnv = process.env): string {
  if (env['WEFT_CACHE']) return resolve(env['WEFT_CACHE']);
  // XDG base directory specification: a relative path is to be ignored
  const xdg = env['XDG_CACHE_HOME'];
  return join(xdg && isAbsolute(xdg) ? xdg : join(homedir(), '.cache'), 'weft');
}

export async function ensureCacheDir(dir: string): Promise<string> {
  const path = resolve(dir);
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw unusable(path, cause);
  }
  return path;
}

export const unusable = (path: string, cause: unknown): WeftError =>
  new WeftError(
    'WEFT_MODEL_CACHE_UNUSABLE',
    `the cache folder cannot be written (${(cause as NodeJS.ErrnoException)?.code ?? 'unknown'})`,
    { path },
    { cause },
  );

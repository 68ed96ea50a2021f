import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { WeftError } from '../../../shared/src/index.js';

/** WEFT_CACHE, else the XDG cache folder's `weft`, else `~/.cache/weft`. */
export function defaultCacheDir(env                    = process.env)         {
  if (env['WEFT_CACHE']) return resolve(env['WEFT_CACHE']);
  // XDG base directory specification: a relative path is to be ignored
  const xdg = env['XDG_CACHE_HOME'];
  return join(xdg && isAbsolute(xdg) ? xdg : join(homedir(), '.cache'), 'weft');
}

export async function ensureCacheDir(dir        )                  {
  const path = resolve(dir);
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw unusable(path, cause);
  }
  return path;
}

export const unusable = (path        , cause         )            =>
  new WeftError('WEFT_MODEL_CACHE_UNUSABLE', `the cache folder cannot be written (${(cause                         )?.code ?? 'unknown'})`, { path }, { cause });

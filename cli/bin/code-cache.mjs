import { mkdirSync } from 'node:fs';
import module from 'node:module';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import process from 'node:process';

/**
 * Keeps compiled modules beside the unpacked models, because stripping types and compiling is most of a short command's
 * time. The folder is the one that trainer/src/weights/cache-folder.ts names, which cannot be imported before this;
 * threads know of it by the environment alone. Where nothing can be kept, Node goes on without.
 */
export const keepCompiledCode = () => {
  const { WEFT_CACHE: own, XDG_CACHE_HOME: xdg } = process.env;
  try {
    const folder = own ? resolve(own) : join(xdg && isAbsolute(xdg) ? xdg : join(homedir(), '.cache'), 'weft');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    process.env.NODE_COMPILE_CACHE ??= join(folder, 'code');
  } catch {
    return; // a user without a home folder, or with one that cannot be written
  }
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE);
};

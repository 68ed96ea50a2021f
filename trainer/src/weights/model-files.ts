import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { sha256, WeftError, type Sha256 } from '@weft/shared';
import type { OnProgress } from '../progress.ts';
import { hashFile } from './hash-file.ts';

export interface ModelFile {
  /** Without a folder. */
  readonly name: string;
  /** Absolute path. */
  readonly file: string;
  readonly sizeBytes: number;
  readonly sha256: Sha256;
}

export interface ModelHashOptions {
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type ModelPlace =
  | { readonly kind: 'gguf'; readonly file: string }
  | { readonly kind: 'folder'; readonly folder: string };

/** Tells a GGUF file from a Hugging Face folder. */
export async function locateModel(path: string): Promise<ModelPlace> {
  const place = resolve(path);
  const entry = await stat(place).catch((cause: unknown) => {
    throw new WeftError(
      'WEFT_MODEL_NOT_FOUND',
      `there is no model at the path (${(cause as NodeJS.ErrnoException).code ?? 'unknown'})`,
      { path: place },
      { cause },
    );
  });
  if (entry.isDirectory()) return { kind: 'folder', folder: place };
  if (entry.isFile() && place.toLowerCase().endsWith('.gguf')) return { kind: 'gguf', file: place };
  throw new WeftError('WEFT_MODEL_NOT_FOUND', 'the path is neither a folder nor a .gguf file', { path: place });
}

/** The files that a model's hash covers, each with its own hash, in order of name. */
export async function modelFiles(path: string, options: ModelHashOptions = {}): Promise<ModelFile[]> {
  const place = await locateModel(path);
  const files =
    place.kind === 'gguf' ? [{ name: basename(place.file), file: place.file }] : await filesOfFolder(place.folder);
  const sized = await Promise.all(files.map(async (entry) => ({ ...entry, sizeBytes: (await stat(entry.file)).size })));
  const totalBytes = sized.reduce((sum, entry) => sum + entry.sizeBytes, 0);
  let doneBytes = 0;
  const onBytes = (bytes: number): void =>
    options.onProgress?.({ phase: 'hash', doneBytes: (doneBytes += bytes), totalBytes });
  const hashed: ModelFile[] = [];
  for (const entry of sized)
    hashed.push({ ...entry, sha256: await hashFile(entry.file, { onBytes, signal: options.signal }) });
  return hashed;
}

/**
 * A GGUF's hash is its file's SHA-256. A folder's is that of the sorted lines `sha256 two-spaces filename`, as
 * `sha256sum config.json tokenizer.json *.safetensors | LC_ALL=C sort | sha256sum` prints it.
 */
export async function hashModel(path: string, options: ModelHashOptions = {}): Promise<Sha256> {
  return hashOfFiles(await locateModel(path), await modelFiles(path, options));
}

export function hashOfFiles(place: ModelPlace, files: readonly ModelFile[]): Sha256 {
  if (place.kind === 'gguf') return (files[0] as ModelFile).sha256;
  return modelHash(files);
}

/** Of the files that a folder's hash covers. */
export function modelHash(files: readonly Pick<ModelFile, 'name' | 'sha256'>[]): Sha256 {
  const lines = files.map(({ sha256, name }) => `${sha256}  ${name}\n`).toSorted((a, b) => (a < b ? -1 : 1));
  return sha256(lines.join(''));
}

const describingFiles = ['config.json', 'tokenizer.json'];
const isWeightFile = (name: string): boolean => name.endsWith('.safetensors') && !name.startsWith('.');

/** Whether a folder's hash covers a file of this name. */
export const isModelFile = (name: string): boolean => describingFiles.includes(name) || isWeightFile(name);

async function filesOfFolder(folder: string): Promise<{ name: string; file: string }[]> {
  const names = (await readdir(folder)).filter(isWeightFile);
  if (names.length === 0)
    throw new WeftError('WEFT_MODEL_NOT_FOUND', 'the folder holds no .safetensors file', { folder });
  const wanted = [...describingFiles, ...names].toSorted((a, b) => (a < b ? -1 : 1));
  return Promise.all(wanted.map(async (name) => ({ name, file: await insideFolder(folder, name) })));
}

/** The absolute path of a file in `folder`; refuses a name or a symbolic link that leads out of it. */
export async function insideFolder(folder: string, name: string): Promise<string> {
  const file = resolve(folder, name);
  if (isAbsolute(name) || leaves(resolve(folder), file)) throw escapes(name, 'is a path');
  const real = await realpath(file).catch((cause: unknown) => {
    throw new WeftError(
      'WEFT_MODEL_NOT_FOUND',
      `the folder holds no ${name.slice(0, 120)}`,
      { folder, name: name.slice(0, 120) },
      { cause },
    );
  });
  if (leaves(await realpath(folder), real)) throw escapes(name, 'is a symbolic link');
  return join(folder, name);
}

const leaves = (folder: string, file: string): boolean => {
  const path = relative(folder, file);
  return path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path);
};

const escapes = (name: string, how: string): WeftError =>
  new WeftError('WEFT_MODEL_PATH_ESCAPES', `${name.slice(0, 120)} ${how} that leaves the model's folder`, {
    name: name.slice(0, 120),
  });

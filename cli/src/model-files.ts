import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { modelSigning, sha256File, WeftError, type Identity, type Sha256 } from '@weft/shared';

/** model.sig in a folder, FILE.sig beside a file: where `model_signing` is told to look. */
export const signaturePath = async (path: string): Promise<string> =>
  (await stat(path)).isDirectory() ? join(path, modelSigning.signatureName) : `${path}.sig`;

/** SHA-256 of each file of a model, by its name below the folder; a model of one file is named `.`. @throws WEFT_STATEMENT_MALFORMED */
export async function hashModelFiles(path: string): Promise<Map<string, Sha256>> {
  const hashes = new Map<string, Sha256>();
  if (!(await stat(path)).isDirectory()) return hashes.set('.', await sha256File(path));
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    const name = relative(path, file).split(sep).join('/');
    const ignored: readonly string[] = modelSigning.ignoredPaths;
    if (entry.isDirectory() || ignored.includes(name.split('/')[0]!)) continue;
    // what a link names may change without the folder's changing
    if (!entry.isFile()) throw new WeftError('WEFT_STATEMENT_MALFORMED', `${name} is a link or no plain file`);
    hashes.set(name, await sha256File(file));
    if (hashes.size > modelSigning.maxFiles)
      throw new WeftError('WEFT_STATEMENT_MALFORMED', `${path} has more than ${modelSigning.maxFiles} files`);
  }
  return hashes;
}

/** Signs what lies there. @returns where the statement was put */
export async function signModelAt(path: string, identity: Identity): Promise<string> {
  const files = [...(await hashModelFiles(path))].map(([name, sha256]) => ({ name, sha256 }));
  const signature = await signaturePath(path);
  const name = basename(resolve(path));
  await writeFile(signature, modelSigning.signFiles({ name, files, run: undefined }, identity), { flag: 'wx' });
  return signature;
}

/** @throws WEFT_STATEMENT_MISSING, WEFT_STATEMENT_MALFORMED */
export async function readModelBundle(file: string): Promise<modelSigning.ModelBundle> {
  try {
    const { size } = await stat(file);
    if (size > modelSigning.maxBundleBytes)
      throw new WeftError(
        'WEFT_STATEMENT_MALFORMED',
        `${file} has ${size} bytes, the limit is ${modelSigning.maxBundleBytes}`,
      );
    return modelSigning.parseBundle(await readFile(file));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    const what = `there is no ${basename(file)} in ${dirname(file)}`;
    throw new WeftError('WEFT_STATEMENT_MISSING', what, {}, { cause });
  }
}

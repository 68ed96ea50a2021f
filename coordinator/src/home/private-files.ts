import { chmod, mkdir, readFile, stat } from 'node:fs/promises';
import { WeftError } from '@weft/shared';
import { writeFileAtomically } from '@weft/trainer';

/** A folder for its owner alone. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chmod(path, 0o700);
}

/** For the owner alone, whole or not at all, on the disk when it resolves. */
export async function writePrivateFile(path: string, content: string | Uint8Array): Promise<void> {
  await writeFileAtomically(path, async (file) => {
    await file.chmod(0o600);
    await file.writeFile(content);
  });
}

/** undefined where there is none. @throws WEFT_COORDINATOR_HOME_EXPOSED where others may read it */
export async function readPrivateFile(path: string): Promise<Buffer | undefined> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) {
      throw new WeftError('WEFT_COORDINATOR_HOME_EXPOSED', `${path} has mode ${(mode & 0o777).toString(8)}, it must be for its owner alone`);
    }
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}


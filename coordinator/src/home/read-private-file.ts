import { readFile, stat } from 'node:fs/promises';
import { WeftError } from '@weft/shared';

/** undefined where there is none. @throws WEFT_COORDINATOR_HOME_EXPOSED where others may read it */
export async function readPrivateFile(path: string): Promise<Buffer | undefined> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) {
      throw new WeftError(
        'WEFT_COORDINATOR_HOME_EXPOSED',
        `${path} has mode ${(mode & 0o777).toString(8)}, it must be for its owner alone`,
      );
    }
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

import { chmod, mkdir } from 'node:fs/promises';
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

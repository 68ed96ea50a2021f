import { writeFileAtomically } from '@weft/trainer';

/** For the owner alone, whole or not at all, on the disk when it resolves. */
export async function writePrivateFile(path: string, content: string | Uint8Array): Promise<void> {
  await writeFileAtomically(path, async (file) => {
    await file.chmod(0o600);
    await file.writeFile(content);
  });
}

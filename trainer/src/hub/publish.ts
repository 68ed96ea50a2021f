import { randomBytes } from 'node:crypto';
import { copyFile, link, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sha256 } from '@weft/shared';
import { ensureCacheDir } from '../weights/cache-folder.ts';
import { contentPath, type Manifest, manifestName, modelFolder, readManifest, variant } from './snapshot.ts';

/** Longer than it takes to link some files. */
const abandonedMs = 24 * 3_600_000;

/** Links the blobs to a folder that appears whole or not at all; whoever comes second finds the first one's. */
export async function publishSnapshot(
  cacheDir: string,
  manifest: Manifest,
  blobPath: (sha256: Sha256) => string,
): Promise<void> {
  const commitFolder = await ensureCacheDir(join(modelFolder(cacheDir, manifest.repository), manifest.commit));
  const final = join(commitFolder, variant(manifest.file));
  const temporary = join(commitFolder, `.${process.pid}.${randomBytes(6).toString('hex')}.tmp`);
  await removeAbandoned(commitFolder);
  try {
    const content = contentPath(temporary, manifest);
    const folder = manifest.file === null ? content : temporary;
    await mkdir(folder, { recursive: true });
    for (const { name, sha256 } of manifest.files) await linkOrCopy(blobPath(sha256), join(folder, name));
    await writeFile(join(temporary, manifestName), `${JSON.stringify(manifest, undefined, 2)}\n`);
    await rename(temporary, final).catch(async () => {
      if ((await readManifest(final)) !== undefined) return;
      await rm(final, { recursive: true, force: true });
      await rename(temporary, final);
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** A hard link is the file itself, so nothing leads out of the folder; some file systems have none. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(async (error: NodeJS.ErrnoException) => {
    if (!['EPERM', 'EXDEV', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS'].includes(error.code ?? '')) throw error;
    await copyFile(from, to);
  });
}

async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (!name.startsWith('.') || !name.endsWith('.tmp')) continue;
    const entry = await stat(path).catch(() => undefined);
    if (entry !== undefined && Date.now() - entry.mtimeMs > abandonedMs)
      await rm(path, { recursive: true, force: true });
  }
}

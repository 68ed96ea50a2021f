import { copyFile, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isWeftError, log, sha256, type RunId, type Sha256 } from '@weft/shared';
import { writeFileAtomically } from '@weft/trainer';

/** Bodies and manifests in the folder of the log: the specs of all runs, and the rounds of those that publish. */
export interface PublishedRounds {
  /** Content-addressed; what is there already is left. */
  putBody(bytes: Uint8Array): Promise<Sha256>;
  /** A file that has this hash. */
  copyBody(hash: Sha256, file: string): Promise<void>;
  hasRound(runId: RunId, round: number): Promise<boolean>;
  /** The bodies that it names come first. */
  putRound(manifest: log.RoundManifest): Promise<void>;
  /** Removes what is past its window. */
  sweep(now: number): Promise<Swept>;
}

export interface Swept {
  /** When there will be more to remove. */
  readonly next: number | undefined;
  /** Files that should be manifests and do not parse: what they named is left where it is. */
  readonly malformed: readonly string[];
}

export function openPublishedRounds(folder: string): PublishedRounds {
  const at = (path: string): string => join(folder, path);
  const exists = (path: string): Promise<boolean> =>
    stat(at(path)).then(
      () => true,
      () => false,
    );
  /** @param fill writes the file under a name that nobody reads yet */
  const put = async (path: string, fill: (file: string) => Promise<void>): Promise<void> => {
    if (await exists(path)) return;
    await mkdir(dirname(at(path)), { recursive: true, mode: 0o700 });
    await fill(at(path));
  };
  return {
    async putBody(bytes) {
      const hash = sha256(bytes);
      await put(log.bodyPath(hash), (file) => writeFileAtomically(file, (handle) => handle.writeFile(bytes)));
      return hash;
    },
    copyBody: (hash, file) =>
      put(log.bodyPath(hash), async (body) => {
        await copyFile(file, `${body}.part`);
        await rename(`${body}.part`, body);
      }),
    hasRound: (runId, round) => exists(log.manifestPath(runId, round)),
    putRound: (manifest) =>
      put(log.manifestPath(manifest.runId, manifest.round), (file) =>
        writeFileAtomically(file, (handle) => handle.writeFile(log.formatManifest(manifest))),
      ),
    async sweep(now) {
      const { manifests, malformed } = await readManifests(at('rounds'));
      const { rounds, bodies } = log.expiredRounds(manifests, now);
      for (const { runId, round } of rounds) await rm(at(log.manifestPath(runId, round)), { force: true });
      for (const body of bodies) await rm(at(log.bodyPath(body)), { force: true });
      const left = manifests.filter(({ until }) => until > now).map(({ until }) => until);
      return { next: left.length === 0 ? undefined : Math.min(...left), malformed };
    },
  };
}

async function readManifests(
  folder: string,
): Promise<{ readonly manifests: readonly log.RoundManifest[]; readonly malformed: readonly string[] }> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    },
  );
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.json'));
  const manifests: log.RoundManifest[] = [];
  const malformed: string[] = [];
  for (const { parentPath, name } of files) {
    const file = join(parentPath, name);
    try {
      manifests.push(log.parseManifest(await readFile(file)));
    } catch (error) {
      if (!isWeftError(error, 'WEFT_LOG_MALFORMED')) throw error;
      malformed.push(file);
    }
  }
  return { manifests, malformed };
}

import { glob, readdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { isSha256, sha256, WeftError, type Sha256 } from '@weft/shared';
import { z } from 'zod';
import { writeFileAtomically } from '../weights/atomic-file.ts';
import { ensureCacheDir } from '../weights/cache-folder.ts';
import { hashFile } from '../weights/hash-file.ts';
import { formatReference, type HubReference, isPlainPath, parseReference } from './reference.ts';

/** A model of a hub in the cache: one repository at one commit, as a folder of safetensors or one .gguf file. */
export interface PulledModel {
  /** `ORG/NAME` */
  readonly repository: string;
  readonly commit: string;
  /** Path of the .gguf file in the repository; null for a folder of safetensors. */
  readonly file: string | null;
  /** Where it came from. */
  readonly endpoint: string;
  /** What to open: a folder named NAME, or the .gguf file. */
  readonly path: string;
  /** The model's hash, as a run spec names it. */
  readonly sha256: Sha256;
  readonly sizeBytes: number;
  /** Branches and tags that meant this commit when they were pulled. */
  readonly revisions: readonly string[];
}

const hash = z.string().refine(isSha256);
const manifestSchema = z.strictObject({
  version: z.literal(1),
  repository: z.string(),
  commit: z.string().regex(/^[0-9a-f]{40}$/),
  file: z.string().refine(isPlainPath).nullable(),
  endpoint: z.string(),
  sha256: hash,
  files: z
    .array(
      z.strictObject({
        name: z.string().refine((name) => isPlainPath(name) && !name.includes('/')),
        sizeBytes: z.int().min(0),
        sha256: hash,
      }),
    )
    .min(1),
});

export type Manifest = z.infer<typeof manifestSchema>;

export const manifestName = 'snapshot.json';
const isCommit = (text: string): boolean => /^[0-9a-f]{40}$/.test(text);

export const hubFolder = (cacheDir: string): string => join(cacheDir, 'hub');
export const modelFolder = (cacheDir: string, repository: string): string =>
  join(hubFolder(cacheDir), 'models', repository);

/** A repository's folder and its single .gguf files are pulled apart from each other. */
export const variant = (file: string | null | undefined): string =>
  file === null || file === undefined ? 'safetensors' : `gguf-${sha256(file).slice(0, 16)}`;

export const contentPath = (folder: string, { repository, file }: Pick<Manifest, 'repository' | 'file'>): string =>
  join(folder, posix.basename(file ?? repository));

/** Undefined where there is none that is ours. */
export async function readManifest(folder: string): Promise<Manifest | undefined> {
  const text = await readFile(join(folder, manifestName), 'utf8').catch(() => undefined);
  try {
    return manifestSchema.safeParse(JSON.parse(text ?? 'null')).data;
  } catch {
    return undefined;
  }
}

/** What the cache says it holds; a snapshot whose manifest is not ours is none. */
export async function readSnapshot(
  cacheDir: string,
  { repository, file }: Pick<HubReference, 'repository' | 'file'>,
  commit: string,
): Promise<PulledModel | undefined> {
  const folder = join(modelFolder(cacheDir, repository), commit, variant(file));
  const manifest = await readManifest(folder);
  if (manifest?.repository !== repository || manifest.commit !== commit || (manifest.file ?? undefined) !== file)
    return undefined;
  return toPulled(cacheDir, folder, manifest);
}

async function toPulled(cacheDir: string, folder: string, manifest: Manifest): Promise<PulledModel> {
  const { repository, commit, file, endpoint, sha256, files } = manifest;
  const revisions = await readRevisions(cacheDir, repository);
  return {
    repository,
    commit,
    file,
    endpoint,
    path: contentPath(folder, manifest),
    sha256,
    sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    revisions: [...revisions].filter(([, meant]) => meant === commit).map(([revision]) => revision),
  };
}

/** Whether every file still has the size and the hash that it had when it was pulled. */
export async function isIntact({ path, file }: PulledModel, signal?: AbortSignal): Promise<boolean> {
  const folder = file === null ? path : dirname(path);
  const manifest = await readManifest(dirname(path));
  for (const { name, sizeBytes, sha256: expected } of manifest?.files ?? []) {
    const entry = await stat(join(folder, name)).catch(() => undefined);
    if (entry?.size !== sizeBytes || (await hashFile(join(folder, name), { signal })) !== expected) return false;
  }
  return manifest !== undefined;
}

export const removeSnapshot = (model: PulledModel): Promise<void> =>
  rm(dirname(model.path), { recursive: true, force: true });

/** Remembers which commit a branch or tag meant. */
export async function writeRevision(
  cacheDir: string,
  repository: string,
  revision: string,
  commit: string,
): Promise<void> {
  if (revision === commit) return;
  const folder = await ensureCacheDir(join(modelFolder(cacheDir, repository), 'refs'));
  await writeFileAtomically(join(folder, encodeURIComponent(revision)), (handle) => handle.writeFile(`${commit}\n`));
}

async function readRevisions(cacheDir: string, repository: string): Promise<Map<string, string>> {
  const folder = join(modelFolder(cacheDir, repository), 'refs');
  const names = (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith('.'));
  const found = await Promise.all(
    names.toSorted().map(async (name) => {
      const commit = (await readFile(join(folder, name), 'utf8').catch(() => '')).trim();
      return isCommit(commit) ? [[decodeURIComponent(name), commit] as const] : [];
    }),
  );
  return new Map(found.flat());
}

/** Everything that was pulled, by name. */
export async function listPulled(cacheDir: string): Promise<PulledModel[]> {
  const models: PulledModel[] = [];
  for await (const found of glob(`models/*/*/*/*/${manifestName}`, { cwd: hubFolder(cacheDir) })) {
    const [, org, name, commit, folder] = found.split(/[/\\]/);
    const manifest = await readManifest(join(hubFolder(cacheDir), dirname(found)));
    if (manifest?.repository !== `${org}/${name}` || manifest.commit !== commit || variant(manifest.file) !== folder)
      continue;
    models.push(await toPulled(cacheDir, join(hubFolder(cacheDir), dirname(found)), manifest));
  }
  const key = ({ repository, commit, file }: PulledModel): string => `${repository}\0${commit}\0${file ?? ''}`;
  return models.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

/**
 * The model in the cache that a reference means: its commit, what its branch or tag meant when it was pulled, or the
 * only commit that begins so. Without a file name it is the folder, or else the only .gguf file.
 * @throws WEFT_HUB_NOT_PULLED, which names the command, and WEFT_HUB_REFERENCE_INVALID where several are meant
 */
export async function findPulled(text: string, cacheDir: string): Promise<PulledModel> {
  const reference = parseReference(text);
  const { repository, revision, file } = reference;
  const here = (await listPulled(cacheDir)).filter((model) => model.repository === repository);
  const named = here.filter(
    ({ commit, revisions }) =>
      commit === revision ||
      revisions.includes(revision) ||
      (/^[0-9a-f]{7,39}$/.test(revision) && commit.startsWith(revision)),
  );
  const matching = file === undefined ? named : named.filter((model) => model.file === file);
  const folders = matching.filter((model) => model.file === null);
  const chosen = folders.length > 0 ? folders : matching;
  const [only, second] = chosen;
  if (only === undefined)
    throw new WeftError(
      'WEFT_HUB_NOT_PULLED',
      `${formatReference(reference)} is not in the cache: \`weft model pull ${formatReference(reference)}\` fetches it`,
      { cacheDir },
    );
  if (second !== undefined)
    throw new WeftError(
      'WEFT_HUB_REFERENCE_INVALID',
      `${formatReference(reference)} means ${chosen.length} pulled models: ${chosen.map(describe).join(', ')}`,
    );
  return only;
}

const describe = ({ repository, commit, file }: PulledModel): string =>
  formatReference({ repository, revision: commit.slice(0, 12), file: file ?? undefined });

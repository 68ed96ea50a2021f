import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { WeftError, type Sha256 } from '@weft/shared';
import { ensureCacheDir } from '../weights/cache-folder.ts';
import { parseConfigJson } from '../weights/config-json.ts';
import { isModelFile, modelHash } from '../weights/model-files.ts';
import type { HubAccess } from './access.ts';
import { BlobStore } from './blob-store.ts';
import { chooseFolder, chooseGguf, chooseHead } from './choose-files.ts';
import { contentId, type FetchedFile, fetchFile, type FetchFileOptions } from './fetch-file.ts';
import type { HubReference } from './reference.ts';
import { type HubFile, listRepository, resolveRevision } from './repository.ts';
import { publishSnapshot } from './publish.ts';
import type { RetryOptions } from './retry.ts';
import { hubFolder, isIntact, type PulledModel, readSnapshot, removeSnapshot, writeRevision } from './snapshot.ts';

export type PullEvent =
  | { readonly event: 'resolved'; readonly commit: string }
  /** The model was here; its files are hashed. */
  | { readonly event: 'checking' }
  | { readonly event: 'bytes'; readonly file: string; readonly doneBytes: number; readonly totalBytes: number };

export interface PullOptions extends RetryOptions {
  readonly access: HubAccess;
  readonly cacheDir: string;
  readonly onEvent?: ((event: PullEvent) => void) | undefined;
}

export interface Pull extends PulledModel {
  /** That came over the network; the rest was in the cache. */
  readonly fetchedBytes: number;
}

/**
 * Brings a model of a hub into the cache: its revision becomes a commit, what training needs is fetched and verified,
 * and the folder appears when all of it is there. A pull that was killed goes on; several at a time do no harm.
 * @throws WEFT_HUB_*, WEFT_DISK_FULL, WEFT_MODEL_UNSUPPORTED before anything large is fetched
 */
export async function pullModel(reference: HubReference, options: PullOptions): Promise<Pull> {
  const { access, onEvent, signal } = options;
  const cacheDir = await ensureCacheDir(options.cacheDir);
  const { repository, revision } = reference;
  const commit = /^[0-9a-f]{40}$/.test(revision) ? revision : await resolveRevision(access, reference, options);
  onEvent?.({ event: 'resolved', commit });
  const here = await readSnapshot(cacheDir, reference, commit);
  if (here !== undefined) {
    onEvent?.({ event: 'checking' });
    if (await isIntact(here, signal)) {
      await writeRevision(cacheDir, repository, revision, commit);
      return { ...((await readSnapshot(cacheDir, reference, commit)) ?? here), fetchedBytes: 0 };
    }
    await removeSnapshot(here);
  }
  const store = await BlobStore.open(hubFolder(cacheDir));
  const fetched = await fetchAll(reference, { ...options, commit, store });
  const files = fetched.files.map(({ file, sha256 }) => ({
    name: basename(file.path),
    sizeBytes: file.sizeBytes,
    sha256,
  }));
  const gguf = reference.file === undefined ? undefined : files[0];
  const manifest = {
    version: 1 as const,
    repository,
    commit,
    file: reference.file ?? null,
    endpoint: access.endpoint,
    sha256: gguf?.sha256 ?? modelHash(files.filter(({ name }) => isModelFile(name))),
    files,
  };
  await publishSnapshot(cacheDir, manifest, (sha256) => store.blobPath(sha256));
  await writeRevision(cacheDir, repository, revision, commit);
  const pulled = await readSnapshot(cacheDir, reference, commit);
  if (pulled === undefined) throw new WeftError('WEFT_INTERNAL', 'a model that was just pulled is not in the cache');
  return { ...pulled, fetchedBytes: fetched.fetchedBytes };
}

interface FetchedFiles {
  readonly files: readonly { readonly file: HubFile; readonly sha256: Sha256 }[];
  readonly fetchedBytes: number;
}

async function fetchAll(
  reference: HubReference,
  options: PullOptions & Pick<FetchFileOptions, 'commit' | 'store'>,
): Promise<FetchedFiles> {
  const { access, commit, store, onEvent } = options;
  const listed = await listRepository(access, reference, commit, options);
  const got = new Map<HubFile, FetchedFile>();
  const fetchOnce = async (file: HubFile, onBytes?: (bytes: number) => void): Promise<Sha256> => {
    const fetched = got.get(file) ?? (await fetchFile(file, { ...options, reference, onBytes }));
    got.set(file, fetched);
    onBytes?.(file.sizeBytes);
    return fetched.sha256;
  };
  const read = async (file: HubFile): Promise<string> => readFile(store.blobPath(await fetchOnce(file)), 'utf8');
  let wanted: HubFile[];
  if (reference.file === undefined) {
    // a configuration that cannot be trained is refused before gigabytes of weights
    const head = chooseHead(listed, reference);
    parseConfigJson(await read(head.config));
    wanted = chooseFolder(listed, head.index === undefined ? undefined : await read(head.index));
  } else {
    wanted = chooseGguf(listed, reference.repository, reference.file);
  }
  const missing = wanted.filter((file) => !got.has(file));
  await store.requireSpace(await missingBytes(store, missing));
  const totalBytes = wanted.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const files: { file: HubFile; sha256: Sha256 }[] = [];
  let doneBytes = 0;
  for (const file of wanted) {
    const before = doneBytes;
    const sha256 = await fetchOnce(file, (bytes) => {
      doneBytes = before + bytes;
      onEvent?.({ event: 'bytes', file: file.path, doneBytes, totalBytes });
    });
    files.push({ file, sha256 });
  }
  return { files, fetchedBytes: [...got.values()].reduce((sum, fetched) => sum + fetched.fetchedBytes, 0) };
}

async function missingBytes(store: BlobStore, files: readonly HubFile[]): Promise<number> {
  const missing = files.map(async (file) => {
    const blob = file.sha256 === undefined ? undefined : await stat(store.blobPath(file.sha256)).catch(() => undefined);
    return blob?.size === file.sizeBytes ? 0 : file.sizeBytes - (await store.partialBytes(contentId(file)));
  });
  return (await Promise.all(missing)).reduce((sum, bytes) => sum + Math.max(0, bytes), 0);
}

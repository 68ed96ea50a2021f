import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { WeftError, type Sha256 } from '@weft/shared';
import { hashModel, openModel, type Model } from '@weft/trainer';
import type { OfferedBlob } from '../round/offer.ts';
import { downloadBlob, type DownloadOptions } from '../transfer/download.ts';

export interface BaseModelRequest {
  readonly sha256: Sha256;
  readonly files: readonly OfferedBlob[];
  readonly download: DownloadOptions;
}

/** Base models by hash: the operator's own, then the cache, then a download. The last one stays open. */
export interface BaseModels {
  /** @throws WEFT_NODE_MODEL_UNAVAILABLE: without the exact hash there is no model */
  open(request: BaseModelRequest): Promise<Model>;
}

/**
 * @param localPath what the operator named with --model
 * @param unpackFolder where GGUF files are unpacked; the trainer's own default where it is left out
 */
export function createBaseModels({
  cacheFolder,
  localPath,
  unpackFolder,
}: {
  cacheFolder: string;
  localPath?: string | undefined;
  unpackFolder?: string | undefined;
}): BaseModels {
  let opened: Model | undefined;
  let localSha256: Promise<Sha256> | undefined;

  /** Hashed once; a failure is tried again at the next offer. */
  const hashLocal = (path: string, signal: AbortSignal): Promise<Sha256> => {
    const hashing = (localSha256 ??= hashModel(path, { signal }));
    hashing.catch(() => (localSha256 = undefined));
    return hashing;
  };
  const pathOf = async ({ sha256, files, download }: BaseModelRequest): Promise<string> => {
    if (localPath !== undefined && (await hashLocal(localPath, download.signal)) === sha256) return localPath;
    return fetchModel(join(cacheFolder, 'models'), sha256, files, download);
  };

  return {
    async open(request) {
      const { sha256, download } = request;
      if (opened?.sha256 === sha256) return opened;
      opened = undefined;
      const path = await pathOf(request);
      const model = await openModel(path, { signal: download.signal, cacheDir: unpackFolder });
      // the file may have changed since it was hashed
      if (model.sha256 !== sha256) throw mismatch('the model that was opened', model.sha256, sha256);
      opened = model;
      return model;
    },
  };
}

/** @returns the path in the cache, where all files are whole and make exactly this model */
async function fetchModel(
  folder: string,
  sha256: Sha256,
  files: readonly OfferedBlob[],
  { signal, onProgress, ...download }: DownloadOptions,
): Promise<string> {
  const final = join(folder, sha256);
  const kept = await readdir(final).catch(() => []);
  if (kept.length > 0) {
    const path = modelPath(final, kept);
    if ((await hashModel(path, { signal }).catch(() => undefined)) === sha256) return path;
    signal.throwIfAborted();
    await rm(final, { recursive: true });
  }
  refuseStrangers(files, sha256);
  const incoming = `${final}.incoming`;
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  let doneBytes = 0;
  for (const file of files) {
    const path = join(incoming, file.name);
    // a file without `.part` was whole when it was fetched, and the model's hash covers it again below
    if ((await stat(path).catch(() => undefined))?.size !== file.sizeBytes) {
      await downloadBlob(file, path, { ...download, signal, onProgress: (bytes) => onProgress?.(doneBytes + bytes) });
    }
    doneBytes += file.sizeBytes;
  }
  const names = files.map(({ name }) => name);
  const fetched = await hashModel(modelPath(incoming, names), { signal });
  if (fetched !== sha256) {
    await rm(incoming, { recursive: true });
    throw mismatch('the model that was fetched', fetched, sha256);
  }
  await rename(incoming, final);
  return modelPath(final, names);
}

const mismatch = (what: string, found: Sha256, offered: Sha256): WeftError =>
  new WeftError('WEFT_NODE_MODEL_UNAVAILABLE', `${what} has the hash ${found}, offered is ${offered}`);

/** Only files that a model's hash covers may be written into the cache. */
function refuseStrangers(files: readonly OfferedBlob[], sha256: Sha256): void {
  const names = files.map(({ name }) => name);
  const isGguf = names.length === 1 && names[0]!.endsWith('.gguf');
  const isFolder =
    names.length > 2 &&
    names.every((name) => name === 'config.json' || name === 'tokenizer.json' || name.endsWith('.safetensors'));
  if ((!isGguf && !isFolder) || new Set(names).size !== names.length) {
    throw new WeftError(
      'WEFT_NODE_MODEL_UNAVAILABLE',
      `the offer lists ${names.length} files for the model ${sha256}, which are not a model's`,
    );
  }
}

const modelPath = (folder: string, names: readonly string[]): string => {
  const gguf = names.find((name) => name.endsWith('.gguf'));
  return gguf === undefined ? folder : join(folder, gguf);
};

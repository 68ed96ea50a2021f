import { mkdir, readdir, rename, stat } from 'node:fs/promises';
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

  const pathOf = async ({ sha256, files, download }: BaseModelRequest): Promise<string> => {
    if (
      localPath !== undefined &&
      (await (localSha256 ??= hashModel(localPath, { signal: download.signal }).catch((error: unknown) => {
        localSha256 = undefined;
        throw error;
      }))) === sha256
    )
      return localPath;
    return fetchModel(join(cacheFolder, 'models'), sha256, files, download);
  };

  return {
    async open(request) {
      if (opened?.sha256 === request.sha256) return opened;
      opened = undefined;
      const path = await pathOf(request);
      const model = await openModel(path, {
        signal: request.download.signal,
        ...(unpackFolder !== undefined && { cacheDir: unpackFolder }),
      });
      if (model.sha256 !== request.sha256) {
        throw new WeftError(
          'WEFT_NODE_MODEL_UNAVAILABLE',
          `the model here has the hash ${model.sha256}, offered is ${request.sha256}`,
        );
      }
      opened = model;
      return model;
    },
  };
}

async function fetchModel(
  folder: string,
  sha256: Sha256,
  files: readonly OfferedBlob[],
  download: DownloadOptions,
): Promise<string> {
  const final = join(folder, sha256);
  const kept = await readdir(final).catch(() => []);
  if (kept.length > 0) return modelPath(final, kept);
  refuseStrangers(files, sha256);
  const incoming = `${final}.incoming`;
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  let doneBytes = 0;
  for (const file of files) {
    const path = join(incoming, file.name);
    const here = await stat(path).catch(() => undefined);
    // a file without `.part` was checked when it was fetched, and the model's hash covers it again below
    if (here?.size !== file.sizeBytes) {
      await downloadBlob(file, path, { ...download, onProgress: (bytes) => download.onProgress?.(doneBytes + bytes) });
    }
    doneBytes += file.sizeBytes;
  }
  const fetched = await hashModel(
    modelPath(
      incoming,
      files.map(({ name }) => name),
    ),
    { signal: download.signal },
  );
  if (fetched !== sha256) {
    throw new WeftError(
      'WEFT_NODE_MODEL_UNAVAILABLE',
      `the files that were offered make the model ${fetched}, offered is ${sha256}`,
    );
  }
  await rename(incoming, final);
  return modelPath(
    final,
    files.map(({ name }) => name),
  );
}

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

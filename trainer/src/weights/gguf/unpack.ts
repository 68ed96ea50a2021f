import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { isSha256, WeftError, type Sha256 } from '@weft/shared';
import type { ModelConfig } from '../../models/model.ts';
import type { OnProgress } from '../../progress.ts';
import { fillThenRename } from '../atomic-file.ts';
import { ensureCacheDir, unusable } from '../cache-folder.ts';
import { layOut, type PlacedTensor, type TensorOutline } from '../safetensors/layout.ts';
import { readSafetensorsHeader, type SafetensorsFile } from '../safetensors/read.ts';
import {
  cachedFile,
  cacheMetadata,
  holdsFileOfSize,
  makeDurable,
  readCached,
  refuseFullDisk,
  removeAbandoned,
  unnamedFile,
} from './cached-weights.ts';
import type { GgufHeader } from './header.ts';
import { type ModelTensor, tensorsOfModel } from './model-tensors.ts';
import { runUnpacking, type UnpackWork } from './unpack-threads.ts';
import type { PackedTensor } from './unpack-work.ts';

export interface UnpackOptions {
  readonly cacheDir: string;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Throws when the GGUF is no longer the file whose header was read; asked once all of it is read. */
  readonly unchanged: () => Promise<void>;
  /** Work for the caller's thread while others hash and unpack; what it throws stops them. Asked for again is done. */
  readonly meanwhile?: (() => void) | undefined;
}

export interface UnpackedGguf {
  readonly sha256: Sha256;
  readonly weights: SafetensorsFile;
}

/**
 * The GGUF's hash, and its tensors as float32 in a safetensors file of the cache, under Hugging Face's names and row
 * order. Made once for each hash. Several processes may do it at the same moment: each writes a file of its own and
 * renames it into place, with the same bytes.
 *
 * Where the cache holds no file that could be this one, hashing and unpacking go on side by side.
 */
export async function unpackGguf(
  gguf: string,
  header: GgufHeader,
  config: ModelConfig,
  options: UnpackOptions,
): Promise<UnpackedGguf> {
  const outlines = tensorsOfModel(header, config).map((tensor): Outline => ({
    name: tensor.name,
    dtype: 'F32',
    shape: tensor.packed.shape,
    tensor,
  }));
  const folder = await ensureCacheDir(options.cacheDir);
  const source = await open(gguf, 'r');
  try {
    return await unpackInto(folder, source, outlines, options);
  } catch (error) {
    throw ['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')
      ? unusable(folder, error)
      : error;
  } finally {
    await source.close();
  }
}

/** The GGUF's hash alone, when nothing is to be unpacked. */
export async function hashGguf(gguf: string, options: Omit<UnpackOptions, 'cacheDir'>): Promise<Sha256> {
  const source = await open(gguf, 'r');
  try {
    const sha256 = asSha256(await runUnpacking({ ...(await reportedWork(source, 0, options)), hashes: true }));
    await options.unchanged();
    return sha256;
  } finally {
    await source.close();
  }
}

type Outline = TensorOutline & { readonly tensor: ModelTensor };

async function unpackInto(
  folder: string,
  source: FileHandle,
  outlines: readonly Outline[],
  options: UnpackOptions,
): Promise<UnpackedGguf> {
  const { header, places } = layOut(outlines, cacheMetadata('0'.repeat(64)));
  const tensors = places.map(packedTensor);
  const sizeBytes = places.reduce((sum, place) => sum + place.sizeBytes, 0);
  const work = await reportedWork(source, sizeBytes, options);
  let sha256: Sha256 | undefined;
  if (await holdsFileOfSize(folder, header.length + sizeBytes)) {
    sha256 = asSha256(await runUnpacking({ ...work, hashes: true }));
    await options.unchanged();
    const weights = await readCached(cachedFile(folder, sha256), sha256);
    if (weights !== undefined) return { sha256, weights };
  }
  await removeAbandoned(folder);
  await refuseFullDisk(folder, sizeBytes);
  const known = sha256;
  const file = await fillThenRename(join(folder, unnamedFile), async (target) => {
    const into = { target: target.fd, tensors, sizeBytes };
    const digest = await runUnpacking({ ...work, hashes: known === undefined, into });
    sha256 = known ?? asSha256(digest);
    await target.write(layOut(outlines, cacheMetadata(sha256)).header, 0, header.length, 0);
    await options.unchanged();
    return cachedFile(folder, sha256);
  });
  makeDurable(file);
  if (sha256 === undefined) throw new WeftError('WEFT_INTERNAL', 'a GGUF was unpacked without its hash');
  return { sha256, weights: await readSafetensorsHeader(file) };
}

async function reportedWork(
  source: FileHandle,
  unpackedBytes: number,
  { onProgress, signal, meanwhile }: Omit<UnpackOptions, 'cacheDir'>,
): Promise<Omit<UnpackWork, 'hashes' | 'into'>> {
  const sourceBytes = (await source.stat()).size;
  const counting = (phase: 'hash' | 'unpack', totalBytes: number) => {
    let doneBytes = 0;
    return (bytes: number): void => onProgress?.({ phase, doneBytes: (doneBytes += bytes), totalBytes });
  };
  const [onHashed, onUnpacked] = [counting('hash', sourceBytes), counting('unpack', unpackedBytes)];
  return { source: source.fd, sourceBytes, onHashed, onUnpacked, signal, meanwhile };
}

function packedTensor({ tensor: outline, offset: targetOffset }: PlacedTensor<Outline>): PackedTensor {
  const { packed, headRows, addend } = outline.tensor;
  const { type, offset, shape } = packed;
  const rowElements = shape.at(-1) ?? 1;
  const rows = shape.reduce((a, b) => a * b, 1) / Math.max(1, rowElements);
  return { type, offset, rows, rowElements, headRows, addend, targetOffset };
}

function asSha256(hex: string): Sha256 {
  if (!isSha256(hex)) throw new WeftError('WEFT_INTERNAL', 'a digest has the wrong length');
  return hex;
}

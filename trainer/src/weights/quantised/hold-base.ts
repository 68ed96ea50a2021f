import { join } from 'node:path';
import { isWeftError, type Sha256, WeftError } from '@weft/shared';
import type { Model } from '../../models/model.ts';
import type { OnProgress } from '../../progress.ts';
import { defaultCacheDir, ensureCacheDir, unusable } from '../cache-folder.ts';
import { refuseFullDisk, removeAbandoned } from '../gguf/cached-weights.ts';
import { bytesPerElement } from '../half.ts';
import { hashModel } from '../model-files.ts';
import { readHeaderOf, type SafetensorsFile } from '../safetensors/read.ts';
import { writeSafetensors } from '../safetensors/write.ts';
import type { StoredDtype, TensorRef } from '../tensor-ref.ts';
import type { TrainingBase } from './training-base.ts';
import { tensorsToWrite } from './quantised-tensors.ts';

/** Raised when the bytes that a model's weights become change: older cache files are then made again. */
const formatVersion = '1';

export interface HoldBaseOptions {
  /** Default: WEFT_CACHE, or `weft` in the user's cache folder. */
  readonly cacheDir?: string | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The model with its weights held in another type, in a file of the cache that is made once for each model's hash.
 * Several processes may make it at the same moment: each writes a file of its own and renames it into place, with the
 * same bytes.
 */
export async function holdBase<Held extends Pick<Model, 'path' | 'sha256' | 'config' | 'tensors'>>(
  model: Held,
  base: TrainingBase,
  options: HoldBaseOptions = {},
): Promise<Held & Pick<Model, 'quantised'>> {
  if (base === 'fp32') return model;
  const tensorsOfModel = [...model.tensors.values()];
  const matrices = tensorsOfModel.filter(({ shape }) => shape.length > 1);
  if (base === 'bf16' && matrices.every(({ dtype }) => dtype !== 'F32')) return model;
  const isHeld =
    matrices.every(({ dtype }) => dtype === 'F16') && tensorsOfModel.every(({ dtype }) => dtype !== 'BF16');
  if (base === 'fp16' && isHeld) return model;
  const { tensors } = await cachedTensors(model, base, options);
  if (base === 'fp16' || base === 'bf16') return { ...model, tensors: new Map([...tensors].filter(isFloat)) };
  return { ...model, quantised: tensors };
}

const isFloat = (entry: [string, TensorRef<StoredDtype>]): entry is [string, TensorRef] =>
  entry[1].dtype !== 'I8' && entry[1].dtype !== 'U8';

async function cachedTensors(
  { path, sha256, config, tensors }: Pick<Model, 'path' | 'sha256' | 'config' | 'tensors'>,
  base: Exclude<TrainingBase, 'fp32'>,
  options: HoldBaseOptions,
): Promise<SafetensorsFile<StoredDtype>> {
  const folder = await ensureCacheDir(options.cacheDir ?? defaultCacheDir());
  const file = join(folder, `${sha256}-${base}.safetensors`);
  const cached = await readCached(file, sha256);
  if (cached !== undefined) return cached;
  await removeAbandoned(folder);
  const written = tensorsToWrite(base, config, tensors, options.signal);
  const sizes = written.map(({ dtype, shape }) => bytesPerElement[dtype] * shape.reduce((a, b) => a * b, 1));
  const totalBytes = sizes.reduce((a, b) => a + b, 0);
  await refuseFullDisk(folder, totalBytes);
  let doneBytes = 0;
  const counted = written.map((tensor) => ({
    ...tensor,
    async *data() {
      for await (const piece of tensor.data()) {
        options.onProgress?.({ phase: 'quantise', doneBytes: (doneBytes += piece.length), totalBytes });
        yield piece;
      }
    },
  }));
  const unchanged = async (): Promise<void> => {
    if ((await hashModel(path, { signal: options.signal })) === sha256) return;
    throw new WeftError('WEFT_MODEL_CORRUPT', "the model's files changed while they were read", { path });
  };
  try {
    await writeSafetensors(file, counted, {
      metadata: { format: 'pt', 'weft.model_sha256': sha256, 'weft.quantisation': formatVersion },
      beforeRename: unchanged,
      ...(options.signal && { signal: options.signal }),
    });
  } catch (error) {
    throw ['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')
      ? unusable(folder, error)
      : error;
  }
  return readHeaderOf(file, storedDtypes);
}

const storedDtypes = ['F32', 'F16', 'BF16', 'I8', 'U8'] as const satisfies readonly StoredDtype[];

/** A cache file that is whole and of this version; anything else is made again. */
async function readCached(file: string, sha256: Sha256): Promise<SafetensorsFile<StoredDtype> | undefined> {
  try {
    const cached = await readHeaderOf(file, storedDtypes);
    const { 'weft.model_sha256': of, 'weft.quantisation': version } = cached.metadata;
    return of === sha256 && version === formatVersion ? cached : undefined;
  } catch (error) {
    if (isWeftError(error)) return undefined;
    throw error;
  }
}

import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sha256 } from '@weft/shared';
import type { ModelConfig } from '../../models/model.ts';
import { weightShapes } from '../../models/weight-shapes.ts';
import type { OnProgress } from '../../progress.ts';
import { ensureCacheDir, unusable } from '../cache-folder.ts';
import { dequantise } from '../gguf/dequantise.ts';
import type { GgufHeader } from '../gguf/header.ts';
import { ggufTensorTypes } from '../gguf/tensor-types.ts';
import { refuseFullDisk, removeAbandoned } from '../gguf/cached-weights.ts';
import { toHuggingFaceRows } from '../gguf/head-rows.ts';
import { type ModelTensor, tensorsOfModel } from '../gguf/model-tensors.ts';
import { bytesPerElement, toFloats } from '../half.ts';
import { readExactly } from '../safetensors/read.ts';
import type { TensorRef } from '../tensor-ref.ts';
import { type BlockFile, type BlockSource, readBlockFile, writeBlockFile } from './block-file.ts';
import { type BlockForm, blockLength, fitsBlocks, namesOfStack } from './block-tensor.ts';
import { repackings } from './gguf-blocks.ts';
import { quantiseBlocks } from './quantise.ts';

/** How the base's matrices are kept: `auto` as their file has them, otherwise with no more than these bits. */
const bases = ['auto', 'fp32', 'int8', 'int4'] as const;
export type Base = (typeof bases)[number];

export interface OpenBlocksOptions {
  readonly cacheDir: string;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Throws when the model is no longer what was hashed. */
  readonly unchanged?: (() => Promise<void>) | undefined;
}

/** A model's tensors before it is known how they will be kept. */
export interface Originals {
  readonly sha256: Sha256;
  readonly sources: (handles: Handles) => readonly BlockSource[];
}

/** Files that are read from, opened once. */
type Handles = (file: string) => Promise<FileHandle>;

/**
 * The model's matrices as blocks of 4- or 8-bit integers, its other tensors as float32, in a file of the cache that is
 * made once for each model and base. Several processes may do it at the same moment. Undefined: there is nothing to
 * keep in blocks.
 */
export async function openBlocks(
  { sha256, sources: sourcesOf }: Originals,
  base: Base,
  config: ModelConfig,
  options: OpenBlocksOptions,
): Promise<BlockFile | undefined> {
  const opened = new Map<string, Promise<FileHandle>>();
  const handles: Handles = (file) => {
    const handle = opened.get(file) ?? open(file, 'r');
    opened.set(file, handle);
    return handle;
  };
  const sources = sourcesOf(handles);
  if (!sources.some(({ form }) => form)) return undefined;
  const folder = await ensureCacheDir(options.cacheDir);
  const file = join(folder, `${sha256}-${base}-blocks.safetensors`);
  const identity = `${sha256} ${base}`;
  const cached = await readBlockFile(file, identity);
  if (cached && isComplete(cached, config)) return cached;
  await removeAbandoned(folder);
  const totalBytes = sources.reduce((sum, source) => sum + sizeOf(source), 0);
  await refuseFullDisk(folder, totalBytes);
  let doneBytes = 0;
  const onBytes = (bytes: number): void =>
    options.onProgress?.({ phase: 'unpack', doneBytes: (doneBytes += bytes), totalBytes });
  try {
    await writeBlockFile(file, sources, identity, {
      signal: options.signal,
      onBytes,
      ...(options.unchanged && { beforeRename: options.unchanged }),
    });
  } catch (error) {
    throw ['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')
      ? unusable(folder, error)
      : error;
  } finally {
    for (const handle of opened.values()) await (await handle).close();
  }
  return readBlockFile(file, identity);
}

/** Every tensor of the model is there, in blocks or plain, and stacks have the rows of their members. */
function isComplete({ tensors, blocks }: BlockFile, config: ModelConfig): boolean {
  const shapes = weightShapes(config);
  const rowsOf = (name: string): number => shapes.get(name)?.[0] ?? 0;
  for (const [key, { shape }] of blocks) {
    const names = namesOfStack(key);
    if (names.reduce((sum, name) => sum + rowsOf(name), 0) !== shape[0]) return false;
    if (names.some((name) => shapes.get(name)?.[1] !== shape[1])) return false;
  }
  const inBlocks = new Set([...blocks.keys()].flatMap(namesOfStack));
  return [...shapes].every(([name, shape]) => inBlocks.has(name) || tensors.get(name)?.shape.join() === shape.join());
}

const sizeOf = ({ shape, form }: BlockSource): number => {
  const elements = shape.reduce((a, b) => a * b, 1);
  if (!form) return 4 * elements;
  return (elements * form.bits) / 8 + (elements / blockLength) * (form.hasOffsets ? 8 : 4);
};

/** The embedding and the head stay at eight bits: they are where four cost most (llama.cpp keeps them wider too). */
const narrowest = (name: string): BlockForm['bits'] => (/embed_tokens|lm_head/.test(name) ? 8 : 4);

function formFor(name: string, base: Base, own: BlockForm | undefined, isQuantised: boolean): BlockForm | undefined {
  if (base === 'fp32') return undefined;
  const wanted = base === 'int4' ? narrowest(name) : 8;
  if (own && (base === 'auto' || own.bits <= wanted)) return own;
  return base === 'auto' && !isQuantised ? undefined : { bits: wanted, hasOffsets: false };
}

/** A GGUF's tensors. Types that are no blocks of ours are rounded to eight bits under `auto`. */
export const originalsOfGguf = (
  file: string,
  sha256: Sha256,
  header: GgufHeader,
  config: ModelConfig,
  base: Base,
): Originals => ({
  sha256,
  sources: (handles) => tensorsOfModel(header, config).map((tensor) => ggufSource(file, tensor, base, handles)),
});

function ggufSource(
  file: string,
  { packed: tensor, name, headRows, addend }: ModelTensor,
  base: Base,
  handles: Handles,
): BlockSource {
  const { type, shape, offset } = tensor;
  const { blockElements, blockBytes } = ggufTensorTypes[type];
  const columns = shape.at(-1) ?? 1;
  const rowBytes = (columns / blockElements) * blockBytes;
  const repacking = repackings[type];
  const isQuantised = blockElements > 1;
  const form = fitsBlocks(shape) ? formFor(name, base, repacking?.form, isQuantised) : undefined;
  const packed = async (row: number, count: number): Promise<Uint8Array> => {
    const bytes = await readExactly(await handles(file), offset + row * rowBytes, count * rowBytes);
    return headRows > 0 ? toHuggingFaceRows(bytes, rowBytes, headRows) : bytes;
  };
  const floats = async (row: number, count: number): Promise<Float32Array> => {
    const values = new Float32Array(count * columns);
    dequantise(type, await packed(row, count), values);
    return addend === 0 ? values : values.map((value) => value + addend);
  };
  return {
    name,
    shape,
    form,
    rowStep: Math.max(1, headRows),
    floats,
    async blocks(row, count) {
      if (repacking && form === repacking.form) return repacking.repack(await packed(row, count));
      return quantiseBlocks(await floats(row, count), form?.bits ?? 8);
    },
  };
}

/** Tensors of safetensors files. */
export const originalsOfTensors = (tensors: ReadonlyMap<string, TensorRef>, sha256: Sha256, base: Base): Originals => ({
  sha256,
  sources: (handles) =>
    [...tensors.values()].map(({ name, shape, dtype, file, offset }): BlockSource => {
      const form = fitsBlocks(shape) ? formFor(name, base, undefined, false) : undefined;
      const rowBytes = (shape.at(-1) ?? 1) * bytesPerElement[dtype];
      const floats = async (row: number, count: number): Promise<Float32Array> =>
        toFloats(await readExactly(await handles(file), offset + row * rowBytes, count * rowBytes), dtype);
      return {
        name,
        shape,
        form,
        rowStep: 1,
        floats,
        blocks: async (row, count) => quantiseBlocks(await floats(row, count), form?.bits ?? 8),
      };
    }),
});

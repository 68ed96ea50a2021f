import { open, readdir, rm, stat, statfs, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isWeftError, WeftError, type Sha256 } from '@weft/shared';
import type { ModelConfig } from '../../models/model.ts';
import type { OnProgress } from '../../progress.ts';
import { ensureCacheDir, unusable } from '../cache-folder.ts';
import { readInto, readSafetensorsHeader, type SafetensorsFile } from '../safetensors/read.ts';
import { writeSafetensors, type TensorToWrite } from '../safetensors/write.ts';
import { dequantise } from './dequantise.ts';
import type { GgufHeader, GgufTensor } from './header.ts';
import { featureOfTensor, toHuggingFaceName } from './tensor-names.ts';
import { ggufTensorTypes } from './tensor-types.ts';

/** Raised when the bytes that unpacking makes from one GGUF change: older cache files are then made again. */
const unpackingVersion = '1';
/** Float32 values in memory at a time: 16 MiB. */
const pieceElements = 4 * 1024 * 1024;
/** A temporary file this old belongs to a process that died. */
const abandonedMs = 6 * 3600 * 1000;

export interface UnpackOptions {
  readonly cacheDir: string;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Throws when the GGUF is no longer the file that was hashed; asked once all of it is read. */
  readonly unchanged: () => Promise<void>;
}

/**
 * The GGUF's tensors as float32 in a safetensors file of the cache, under Hugging Face's names and row order.
 * Made once for each GGUF hash. Several processes may do it at the same moment: each writes a file of its own
 * and renames it into place, with the same bytes.
 */
export async function unpackGguf(
  gguf: string,
  sha256: Sha256,
  header: GgufHeader,
  config: ModelConfig,
  options: UnpackOptions,
): Promise<SafetensorsFile> {
  const folder = await ensureCacheDir(options.cacheDir);
  const file = join(folder, `${sha256}-f32.safetensors`);
  const cached = await readCached(file, sha256);
  if (cached !== undefined) return cached;
  await removeAbandoned(folder);
  const jobs = [...header.tensors.values()].map((tensor) => ({
    tensor,
    name: nameOf(tensor),
    elements: elementsOf(tensor),
  }));
  const totalBytes = jobs.reduce((sum, job) => sum + job.elements * 4, 0);
  await refuseFullDisk(file, totalBytes);
  const source = await open(gguf, 'r');
  try {
    let doneBytes = 0;
    const onPiece = (bytes: number): void =>
      options.onProgress?.({ phase: 'unpack', doneBytes: (doneBytes += bytes), totalBytes });
    const tensors = jobs.map(({ tensor, name }): TensorToWrite => ({
      name,
      dtype: 'F32',
      shape: tensor.shape,
      data: () => unpackedPieces(source, tensor, permutedHeads(name, config), onPiece),
    }));
    const metadata = { format: 'pt', 'weft.gguf_sha256': sha256, 'weft.unpacking': unpackingVersion };
    await writeSafetensors(file, tensors, {
      metadata,
      beforeRename: options.unchanged,
      ...(options.signal && { signal: options.signal }),
    });
  } catch (error) {
    throw ['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')
      ? unusable(folder, error)
      : error;
  } finally {
    await source.close();
  }
  return readSafetensorsHeader(file);
}

/** A cache file that is whole and of this version; anything else is made again. */
async function readCached(file: string, sha256: Sha256): Promise<SafetensorsFile | undefined> {
  try {
    const cached = await readSafetensorsHeader(file);
    const { 'weft.gguf_sha256': of, 'weft.unpacking': version } = cached.metadata;
    return of === sha256 && version === unpackingVersion ? cached : undefined;
  } catch (error) {
    if (isWeftError(error)) return undefined;
    throw error;
  }
}

function nameOf({ name }: GgufTensor): string {
  const known = toHuggingFaceName(name);
  if (known !== undefined) return known;
  const feature = featureOfTensor(name);
  throw new WeftError('WEFT_MODEL_UNSUPPORTED', `gguf: the model uses ${feature}`, { feature });
}

const elementsOf = ({ shape }: GgufTensor): number => shape.reduce((a, b) => a * b, 1);

/** How many heads' rows llama.cpp permuted in this tensor; 0 for all but q and k. */
function permutedHeads(name: string, config: ModelConfig): number {
  if (name.endsWith('.q_proj.weight')) return config.heads;
  return name.endsWith('.k_proj.weight') ? config.kvHeads : 0;
}

async function* unpackedPieces(
  source: FileHandle,
  tensor: GgufTensor,
  heads: number,
  onPiece: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const { blockElements, blockBytes } = ggufTensorTypes[tensor.type];
  const rowElements = tensor.shape.at(-1) ?? 1;
  const rows = elementsOf(tensor) / Math.max(1, rowElements);
  const headRows = heads > 0 ? rows / heads : 1;
  // whole heads in a piece, since rows move only inside their head
  const pieceRows = Math.max(headRows, Math.floor(pieceElements / rowElements / headRows) * headRows);
  const rowBytes = (rowElements / blockElements) * blockBytes;
  for (let row = 0; row < rows; row += pieceRows) {
    const count = Math.min(pieceRows, rows - row);
    const packed = new Uint8Array(count * rowBytes);
    await readInto(source, packed, tensor.offset + row * rowBytes);
    const values = new Float32Array(count * rowElements);
    dequantise(tensor.type, packed, values);
    const piece = heads > 0 ? toHuggingFaceRows(values, rowElements, headRows) : values;
    onPiece(piece.byteLength);
    yield new Uint8Array(piece.buffer);
  }
}

/**
 * llama.cpp turns neighbouring rows as a pair, Hugging Face row j with row j + headDim/2: its converter interleaves
 * the halves of each head (convert_hf_to_gguf.py, LlamaModel.permute). Row 2j + s there is row s·headDim/2 + j here.
 */
export function toHuggingFaceRows(values: Float32Array, rowElements: number, headRows: number): Float32Array {
  const half = headRows / 2;
  const out = new Float32Array(values.length);
  const rows = values.length / rowElements;
  for (let row = 0; row < rows; row++) {
    const inHead = row % headRows;
    const from = row - inHead + 2 * (inHead % half) + Math.floor(inHead / half);
    out.set(values.subarray(from * rowElements, (from + 1) * rowElements), row * rowElements);
  }
  return out;
}

async function refuseFullDisk(file: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(file));
  const freeBytes = bavail * bsize;
  if (freeBytes < neededBytes) {
    throw new WeftError(
      'WEFT_DISK_FULL',
      `the unpacked model needs ${neededBytes} bytes in the cache, ${freeBytes} are free`,
      { neededBytes, freeBytes },
    );
  }
}

async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!/^\.[0-9a-f]{64}-f32\.safetensors\..+\.tmp$/.test(name)) continue;
    const path = join(folder, name);
    const entry = await stat(path).catch(() => undefined);
    if (entry !== undefined && Date.now() - entry.mtimeMs > abandonedMs) await rm(path, { force: true });
  }
}

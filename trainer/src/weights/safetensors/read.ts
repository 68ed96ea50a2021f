import { open, type FileHandle } from 'node:fs/promises';
import { resolve } from 'node:path';
import { WeftError } from '@weft/shared';
import { toFloats } from '../half.ts';
import type { StoredDtype, TensorDtype, TensorRef } from '../tensor-ref.ts';
import { floatDtypes, lengthFieldBytes, parseHeaderLength, parseSafetensorsHeader } from './header.ts';

export interface SafetensorsFile<Dtype extends StoredDtype = TensorDtype> {
  /** In the order of their bytes. */
  readonly tensors: ReadonlyMap<string, TensorRef<Dtype>>;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface TensorValues {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Reads only the header: the tensors stay in the file, and each comes back as a window of it. */
export const readSafetensorsHeader = (path: string): Promise<SafetensorsFile> => readHeaderOf(path, floatDtypes);

/** The same for a file whose tensors may have other types. */
export async function readHeaderOf<Dtype extends StoredDtype>(
  path: string,
  dtypes: readonly Dtype[],
): Promise<SafetensorsFile<Dtype>> {
  const file = resolve(path);
  const handle = await openFile(file);
  try {
    const { size } = await handle.stat();
    const headerBytes = parseHeaderLength(await readExactly(handle, 0, Math.min(lengthFieldBytes, size)), size);
    const header = parseSafetensorsHeader(await readExactly(handle, lengthFieldBytes, headerBytes), size, dtypes);
    return {
      tensors: new Map(header.tensors.map((tensor) => [tensor.name, { ...tensor, file }])),
      metadata: header.metadata,
    };
  } finally {
    await handle.close();
  }
}

/** One tensor's values as float32, whatever its type in the file. */
export async function readTensor(ref: TensorRef): Promise<Float32Array> {
  const handle = await openFile(ref.file);
  try {
    return toFloats(await readExactly(handle, ref.offset, ref.sizeBytes), ref.dtype);
  } finally {
    await handle.close();
  }
}

/** Every tensor of a small file, an adapter for instance, in memory. */
export async function readTensors(
  path: string,
): Promise<{ tensors: Map<string, TensorValues>; metadata: Readonly<Record<string, string>> }> {
  const { tensors, metadata } = await readSafetensorsHeader(path);
  const read = new Map<string, TensorValues>();
  for (const [name, ref] of tensors) read.set(name, { shape: ref.shape, values: await readTensor(ref) });
  return { tensors: read, metadata };
}

async function openFile(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'r');
  } catch (cause) {
    throw new WeftError(
      'WEFT_MODEL_NOT_FOUND',
      `cannot open a weights file (${(cause as NodeJS.ErrnoException).code ?? 'unknown'})`,
      { file },
      { cause },
    );
  }
}

/** `length` bytes at `offset`; a file that ends before them is an error. */
export async function readExactly(handle: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await readInto(handle, bytes, offset);
  return bytes;
}

export async function readInto(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, offset + done);
    if (bytesRead === 0)
      throw new WeftError(
        'WEFT_MODEL_CORRUPT',
        `the file ends at byte ${offset + done}, ${offset + bytes.length} are needed`,
      );
    done += bytesRead;
  }
}

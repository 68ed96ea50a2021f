import type { FileHandle } from 'node:fs/promises';
import { WeftError } from '@weft/shared';
import { writeFileAtomically } from '../atomic-file.ts';
import { bytesPerElement, toBytes } from '../half.ts';
import type { TensorDtype } from '../tensor-ref.ts';
import { ggufTensorTypes } from './tensor-types.ts';

/** A value with its type in the file. */
export type GgufEntryToWrite =
  | { readonly type: 'u32'; readonly value: number }
  | { readonly type: 'f32'; readonly value: number }
  | { readonly type: 'string'; readonly value: string };

export interface GgufTensorToWrite {
  readonly name: string;
  readonly dtype: TensorDtype;
  /** Row-major, as Hugging Face writes it; the file has the reverse. */
  readonly shape: readonly number[];
  /** Made when it is this tensor's turn, so that memory holds one tensor. */
  readonly data: () => Float32Array;
}

const alignment = 32;
const magic = 0x46554747; // "GGUF"
const version = 3;
/** Numbers of the types of values (gguf.md, gguf_metadata_value_type). */
const valueTypes = { u32: 4, f32: 6, string: 8 } as const;

const aligned = (size: number): number => Math.ceil(size / alignment) * alignment;

/** Writes a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md) that is whole or absent. */
export async function writeGguf(
  path: string,
  metadata: ReadonlyMap<string, GgufEntryToWrite>,
  tensors: readonly GgufTensorToWrite[],
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const head: Buffer[] = [u32(magic), u32(version), u64(tensors.length), u64(metadata.size)];
  for (const [key, entry] of metadata) head.push(string(key), u32(valueTypes[entry.type]), valueOf(entry));
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    head.push(string(name), u32(shape.length), ...shape.toReversed().map(u64));
    head.push(u32(ggufTensorTypes[dtype].id), u64(offset));
    offset += aligned(sizeOf(dtype, shape));
  }
  await writeFileAtomically(path, async (handle) => {
    await writePadded(handle, Buffer.concat(head));
    for (const { name, dtype, shape, data } of tensors) {
      options.signal?.throwIfAborted();
      const bytes = toBytes(data(), dtype);
      const needed = sizeOf(dtype, shape);
      if (bytes.length !== needed)
        throw new WeftError('WEFT_INTERNAL', `${name} gave ${bytes.length} bytes to write, its shape needs ${needed}`);
      await writePadded(handle, bytes);
    }
  });
}

const sizeOf = (dtype: TensorDtype, shape: readonly number[]): number =>
  shape.reduce((a, b) => a * b, 1) * bytesPerElement[dtype];

async function writePadded(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  await handle.writeFile(bytes);
  await handle.writeFile(new Uint8Array(aligned(bytes.length) - bytes.length));
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([u64(bytes.length), bytes]);
}

function valueOf(entry: GgufEntryToWrite): Buffer {
  if (entry.type === 'string') return string(entry.value);
  if (entry.type === 'u32') return u32(entry.value);
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(entry.value);
  return bytes;
}

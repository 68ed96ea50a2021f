import type { FileHandle } from 'node:fs/promises';
import { WeftError } from '@weft/shared';
import { writeFileAtomically } from '../atomic-file.ts';
import { ggufTensorTypes, type GgufTensorType } from './tensor-types.ts';

/** A value with its type in the file. */
export type GgufEntryToWrite =
  | { readonly type: 'u32' | 'f32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'i32s' | 'f32s'; readonly value: readonly number[] };

export interface GgufTensorToWrite {
  readonly name: string;
  readonly type: GgufTensorType;
  /** Row-major, as Hugging Face writes it; the file has the reverse. */
  readonly shape: readonly number[];
  /** The tensor's bytes in pieces, made when it is their turn, so that memory holds one piece. */
  readonly data: () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

export interface WriteGgufOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

const alignment = 32;
const magic = 0x46554747; // "GGUF"
const version = 3;
/** Numbers of the types of values (gguf.md, gguf_metadata_value_type). */
const valueTypes = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

const aligned = (size: number): number => Math.ceil(size / alignment) * alignment;

/** Writes a GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md) that is whole or absent. */
export async function writeGguf(
  path: string,
  metadata: ReadonlyMap<string, GgufEntryToWrite>,
  tensors: readonly GgufTensorToWrite[],
  { signal, onBytes }: WriteGgufOptions = {},
): Promise<void> {
  const head: Buffer[] = [u32(magic), u32(version), u64(tensors.length), u64(metadata.size)];
  for (const [key, entry] of metadata) head.push(string(key), entryBytes(entry));
  let offset = 0;
  for (const { name, type, shape } of tensors) {
    head.push(string(name), u32(shape.length), ...shape.toReversed().map(u64));
    head.push(u32(ggufTensorTypes[type].id), u64(offset));
    offset += aligned(ggufTensorBytes(type, shape));
  }
  await writeFileAtomically(path, async (handle) => {
    const header = Buffer.concat(head);
    await handle.writeFile(header);
    await pad(handle, header.length);
    for (const { name, type, shape, data } of tensors) {
      let written = 0;
      for await (const bytes of data()) {
        signal?.throwIfAborted();
        await handle.writeFile(bytes);
        onBytes?.(bytes.length);
        written += bytes.length;
      }
      const needed = ggufTensorBytes(type, shape);
      if (written !== needed)
        throw new WeftError('WEFT_INTERNAL', `${name} gave ${written} bytes to write, its shape needs ${needed}`);
      await pad(handle, written);
    }
  });
}

export function ggufTensorBytes(type: GgufTensorType, shape: readonly number[]): number {
  const { blockElements, blockBytes } = ggufTensorTypes[type];
  return (shape.reduce((a, b) => a * b, 1) / blockElements) * blockBytes;
}

const pad = (handle: FileHandle, written: number): Promise<void> =>
  handle.writeFile(new Uint8Array(aligned(written) - written));

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

/** GGUF is little-endian, and so are the arrays of every platform that Node runs on. */
const numbers = (values: Float32Array | Int32Array): Buffer =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength);

function entryBytes(entry: GgufEntryToWrite): Buffer {
  const array = (type: number, items: readonly Buffer[], count: number): Buffer =>
    Buffer.concat([u32(valueTypes.array), u32(type), u64(count), ...items]);
  switch (entry.type) {
    case 'u32':
      return Buffer.concat([u32(valueTypes.u32), u32(entry.value)]);
    case 'f32':
      return Buffer.concat([u32(valueTypes.f32), numbers(Float32Array.of(entry.value))]);
    case 'bool':
      return Buffer.concat([u32(valueTypes.bool), Buffer.of(entry.value ? 1 : 0)]);
    case 'string':
      return Buffer.concat([u32(valueTypes.string), string(entry.value)]);
    case 'strings':
      return array(valueTypes.string, entry.value.map(string), entry.value.length);
    case 'i32s':
      return array(valueTypes.i32, [numbers(Int32Array.from(entry.value))], entry.value.length);
    case 'f32s':
      return array(valueTypes.f32, [numbers(Float32Array.from(entry.value))], entry.value.length);
  }
}

import type { FileHandle } from 'node:fs/promises';
import { WeftError } from '@weft/shared';
import { writeFileAtomically } from '../atomic-file.ts';
import { bytesPerElement, toBytes } from '../half.ts';
import type { TensorDtype } from '../tensor-ref.ts';
import { lengthFieldBytes } from './header.ts';

/** A tensor to write. Large ones come as a stream of pieces, so that memory holds one piece. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: TensorDtype;
  /** Row-major. */
  readonly shape: readonly number[];
  /** Values to convert to `dtype`, or little-endian bytes of it, whole or in pieces. */
  readonly data: Float32Array | Uint8Array | (() => Iterable<Uint8Array> | AsyncIterable<Uint8Array>);
}

export interface WriteOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** A last check on the source of the bytes; what it throws leaves no file. */
  readonly beforeRename?: () => Promise<void>;
}

/** What runtimes like to map: a cache line. */
const alignmentBytes = 64;

/**
 * Writes a safetensors file that is whole or absent, whatever stops the process.
 *
 * The format allows no gap between tensors, so those whose size is no multiple of 64 bytes come last:
 * all others then lie aligned.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  options: WriteOptions = {},
): Promise<void> {
  const sized = tensors.map((tensor) => ({
    tensor,
    sizeBytes: tensor.shape.reduce((a, b) => a * b, 1) * bytesPerElement[tensor.dtype],
  }));
  const ordered = [
    ...sized.filter((t) => t.sizeBytes % alignmentBytes === 0),
    ...sized.filter((t) => t.sizeBytes % alignmentBytes !== 0),
  ];
  const header = encodeHeader(ordered, options.metadata);
  await writeFileAtomically(path, async (handle) => {
    await writeAll(handle, header);
    for (const { tensor, sizeBytes } of ordered) {
      let written = 0;
      for await (const piece of pieces(tensor)) {
        options.signal?.throwIfAborted();
        await writeAll(handle, piece);
        written += piece.length;
      }
      if (written !== sizeBytes) {
        throw new WeftError(
          'WEFT_INTERNAL',
          `${tensor.name} gave ${written} bytes to write, its shape needs ${sizeBytes}`,
        );
      }
    }
    await options.beforeRename?.();
  });
}

function encodeHeader(
  ordered: readonly { tensor: TensorToWrite; sizeBytes: number }[],
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  const entries: [string, unknown][] = metadata && Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : [];
  let offset = 0;
  for (const { tensor, sizeBytes } of ordered) {
    entries.push([
      tensor.name,
      { dtype: tensor.dtype, shape: tensor.shape, data_offsets: [offset, offset + sizeBytes] },
    ]);
    offset += sizeBytes;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const total = Math.ceil((lengthFieldBytes + json.length) / alignmentBytes) * alignmentBytes;
  const header = new Uint8Array(total).fill(0x20); // the format pads with spaces
  new DataView(header.buffer).setBigUint64(0, BigInt(total - lengthFieldBytes), true);
  header.set(json, lengthFieldBytes);
  return header;
}

function pieces({ dtype, data }: TensorToWrite): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (typeof data === 'function') return data();
  return [data instanceof Float32Array ? toBytes(data, dtype) : data];
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten;
}

import type { FileHandle } from 'node:fs/promises';
import { WeftError } from '@weft/shared';
import { writeFileAtomically } from '../atomic-file.ts';
import { toBytes } from '../half.ts';
import type { StoredDtype, TensorDtype } from '../tensor-ref.ts';
import { layOut } from './layout.ts';

/** A tensor to write. Large ones come as a stream of pieces, so that memory holds one piece. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: TensorDtype;
  /** Row-major. */
  readonly shape: readonly number[];
  /** Values to convert to `dtype`, or little-endian bytes of it, whole or in pieces. */
  readonly data: Float32Array | Bytes;
}

/** Levels of a quantised weight. */
export interface LevelsToWrite {
  readonly name: string;
  readonly dtype: Exclude<StoredDtype, TensorDtype>;
  readonly shape: readonly number[];
  readonly data: Bytes;
}

type Bytes = Uint8Array | (() => Iterable<Uint8Array> | AsyncIterable<Uint8Array>);

export interface WriteOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly onBytes?: (bytes: number) => void;
  /** A last check on the source of the bytes; what it throws leaves no file. */
  readonly beforeRename?: () => Promise<void>;
}

/** Writes a safetensors file that is whole or absent, whatever stops the process. */
export async function writeSafetensors(
  path: string,
  tensors: readonly (TensorToWrite | LevelsToWrite)[],
  options: WriteOptions = {},
): Promise<void> {
  const { header, places } = layOut(tensors, options.metadata);
  await writeFileAtomically(path, async (handle) => {
    await writeAll(handle, header);
    for (const { tensor, sizeBytes } of places) {
      let written = 0;
      for await (const piece of pieces(tensor)) {
        options.signal?.throwIfAborted();
        await writeAll(handle, piece);
        options.onBytes?.(piece.length);
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

function pieces(tensor: TensorToWrite | LevelsToWrite): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (typeof tensor.data === 'function') return tensor.data();
  if (tensor.dtype === 'I8' || tensor.dtype === 'U8') return [tensor.data];
  return [tensor.data instanceof Float32Array ? toBytes(tensor.data, tensor.dtype) : tensor.data];
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten;
}

import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { isSha256, WeftError, type Sha256 } from '@weft/shared';

const pieceBytes = 4 * 1024 * 1024;

export interface HashOptions {
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export async function hashFile(file: string, options: HashOptions = {}): Promise<Sha256> {
  const handle = await open(file, 'r').catch((cause: unknown) => {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    throw new WeftError(
      'WEFT_MODEL_NOT_FOUND',
      `a file of the model cannot be opened (${reason})`,
      { file },
      { cause },
    );
  });
  try {
    return await hashHandle(handle, options);
  } finally {
    await handle.close();
  }
}

/** SHA-256 of the whole file behind `handle`, in pieces, so that memory and the event loop stay free. */
export async function hashHandle(handle: FileHandle, { onBytes, signal }: HashOptions = {}): Promise<Sha256> {
  const hash = createHash('sha256');
  const piece = new Uint8Array(pieceBytes);
  for (let position = 0; ;) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(piece, 0, piece.length, position);
    if (bytesRead === 0) return asSha256(hash.digest('hex'));
    hash.update(piece.subarray(0, bytesRead));
    position += bytesRead;
    onBytes?.(bytesRead);
  }
}

function asSha256(hex: string): Sha256 {
  if (!isSha256(hex)) throw new WeftError('WEFT_INTERNAL', 'a digest has the wrong length');
  return hex;
}

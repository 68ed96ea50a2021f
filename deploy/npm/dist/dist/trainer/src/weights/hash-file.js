import { createHash } from 'node:crypto';
import { open,                 } from 'node:fs/promises';
import { isSha256, WeftError,             } from '../../../shared/src/index.js';

const pieceBytes = 4 * 1024 * 1024;

                              
                                                           
                                            
 

export async function hashFile(file        , options              = {})                  {
  const handle = await open(file, 'r');
  try {
    return await hashHandle(handle, options);
  } finally {
    await handle.close();
  }
}

/** SHA-256 of the whole file behind `handle`, in pieces, so that memory and the event loop stay free. */
export async function hashHandle(handle            , { onBytes, signal }              = {})                  {
  const hash = createHash('sha256');
  const piece = new Uint8Array(pieceBytes);
  for (let position = 0; ; ) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(piece, 0, piece.length, position);
    if (bytesRead === 0) return asSha256(hash.digest('hex'));
    hash.update(piece.subarray(0, bytesRead));
    position += bytesRead;
    onBytes?.(bytesRead);
  }
}

export const hashText = (text        )         => asSha256(createHash('sha256').update(text).digest('hex'));

function asSha256(hex        )         {
  if (!isSha256(hex)) throw new WeftError('WEFT_INTERNAL', 'a digest has the wrong length');
  return hex;
}

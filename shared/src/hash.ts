import { createHash, type BinaryLike } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Sha256 } from './ids.ts';

export const sha256 = (data: BinaryLike): Sha256 => createHash('sha256').update(data).digest('hex') as Sha256;

/** Streams a file through SHA-256; memory stays at one chunk. */
export async function sha256File(
  path: string,
  options: { signal?: AbortSignal; onProgress?: (readBytes: number) => void } = {},
): Promise<Sha256> {
  const hash = createHash('sha256');
  let readBytes = 0;
  const chunks = createReadStream(path, { highWaterMark: 1 << 20, ...(options.signal && { signal: options.signal }) });
  for await (const chunk of chunks as AsyncIterable<Buffer>) {
    hash.update(chunk);
    readBytes += chunk.length;
    options.onProgress?.(readBytes);
  }
  return hash.digest('hex') as Sha256;
}

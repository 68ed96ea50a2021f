import { createHash,                 } from 'node:crypto';
import { createReadStream } from 'node:fs';
                                       

export const sha256 = (data            )         => createHash('sha256').update(data).digest('hex')          ;

/** Streams a file through SHA-256; memory stays at one chunk. */
export async function sha256File(
  path        ,
  options                                                                     = {},
)                  {
  const hash = createHash('sha256');
  let readBytes = 0;
  const chunks = createReadStream(path, { highWaterMark: 1 << 20, ...(options.signal && { signal: options.signal }) });
  for await (const chunk of chunks                         ) {
    hash.update(chunk);
    readBytes += chunk.length;
    options.onProgress?.(readBytes);
  }
  return hash.digest('hex')          ;
}

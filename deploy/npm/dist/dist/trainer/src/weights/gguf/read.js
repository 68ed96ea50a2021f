import { open } from 'node:fs/promises';
import { WeftError } from '../../../../shared/src/index.js';
import { readExactly } from '../safetensors/read.js';
import { MoreBytesNeeded } from './cursor.js';
import { parseGgufHeader,                 } from './header.js';

/** Enough for most vocabularies at the first try; parsing starts over with more where it is not. */
const firstReadBytes = 8 * 1024 * 1024;

export async function readGgufHeader(file        )                      {
  const handle = await open(file, 'r').catch((cause         ) => {
    throw new WeftError('WEFT_MODEL_NOT_FOUND', `cannot open the GGUF file (${(cause                         ).code ?? 'unknown'})`, { file }, { cause });
  });
  try {
    const { size } = await handle.stat();
    for (let length = Math.min(firstReadBytes, size); ; ) {
      const bytes = await readExactly(handle, 0, length);
      try {
        return parseGgufHeader(bytes, size);
      } catch (error) {
        if (!(error instanceof MoreBytesNeeded)) throw error;
        length = Math.min(size, Math.max(error.atLeast, length * 2));
      }
    }
  } finally {
    await handle.close();
  }
}

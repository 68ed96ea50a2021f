import { open } from 'node:fs/promises';
import { WeftError } from '@weft/shared';
import { readExactly } from '../safetensors/read.ts';
import { MoreBytesNeeded } from './cursor.ts';
import { parseGgufHeader, type GgufHeader } from './header.ts';

/** Enough for most vocabularies at the first try; parsing starts over with more where it is not. */
const firstReadBytes = 8 * 1024 * 1024;

export async function readGgufHeader(file: string): Promise<GgufHeader> {
  const handle = await open(file, 'r').catch((cause: unknown) => {
    throw new WeftError(
      'WEFT_MODEL_NOT_FOUND',
      `cannot open the GGUF file (${(cause as NodeJS.ErrnoException).code ?? 'unknown'})`,
      { file },
      { cause },
    );
  });
  try {
    const { size } = await handle.stat();
    for (let length = Math.min(firstReadBytes, size); ;) {
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

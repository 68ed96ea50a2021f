import { open } from 'node:fs/promises';
import { WeftError } from '@weft/shared';
import { readExactly } from '../safetensors/read.ts';
import { dequantise } from './dequantise.ts';
import { parseGgufHeader, type GgufHeader } from './header.ts';
import { MoreBytesNeeded, withinLimit } from './cursor.ts';

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

/** The values of a small tensor that the configuration depends on; undefined where the file has none of that name. */
export async function readGgufVector(
  file: string,
  { tensors }: GgufHeader,
  name: string,
): Promise<Float32Array | undefined> {
  const tensor = tensors.get(name);
  if (tensor === undefined) return undefined;
  const values = new Float32Array(
    withinLimit(
      'vectorElements',
      tensor.shape.reduce((a, b) => a * b, 1),
    ),
  );
  const handle = await open(file, 'r');
  try {
    dequantise(tensor.type, await readExactly(handle, tensor.offset, tensor.sizeBytes), values);
  } finally {
    await handle.close();
  }
  return values;
}

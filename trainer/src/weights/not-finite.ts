import { open } from 'node:fs/promises';
import { isWeftError, WeftError } from '@weft/shared';
import { readInto } from './safetensors/read.ts';
import type { TensorDtype, TensorRef } from './tensor-ref.ts';

/** Bytes in memory at a time. */
const pieceBytes = 4 * 1024 * 1024;

/** The bits of the exponent, all of which are 1 in an infinity and in a NaN. */
const exponents: Readonly<Record<TensorDtype, number>> = { F32: 0x7f800000, F16: 0x7c00, BF16: 0x7f80 };

/** Finds out whether it was the model's own weights that made a loss infinite or no number; what is thrown says so. */
export async function explainDivergence(error: unknown, tensors: ReadonlyMap<string, TensorRef>): Promise<never> {
  if (!isWeftError(error, 'WEFT_TRAINING_DIVERGED')) throw error;
  for (const tensor of tensors.values()) {
    const index = await firstNotFinite(tensor);
    if (index === undefined) continue;
    const what = `${error.message.split(';')[0]}; the base model's ${tensor.name} holds a value that is not finite (element ${index})`;
    throw new WeftError('WEFT_MODEL_NOT_FINITE', what, { ...error.details, tensor: tensor.name }, { cause: error });
  }
  throw error;
}

/** Index of the first NaN or infinity of a tensor. */
export async function firstNotFinite({ file, dtype, offset, sizeBytes }: TensorRef): Promise<number | undefined> {
  const exponent = exponents[dtype];
  const handle = await open(file, 'r');
  try {
    for (let start = 0; start < sizeBytes; start += pieceBytes) {
      const bytes = new Uint8Array(Math.min(pieceBytes, sizeBytes - start));
      await readInto(handle, bytes, offset + start);
      const words = dtype === 'F32' ? new Uint32Array(bytes.buffer) : new Uint16Array(bytes.buffer);
      const found = words.findIndex((word) => (word & exponent) === exponent);
      if (found !== -1) return start / words.BYTES_PER_ELEMENT + found;
    }
    return undefined;
  } finally {
    await handle.close();
  }
}

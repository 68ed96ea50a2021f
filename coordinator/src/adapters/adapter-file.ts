import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WeftError, type AdapterLayout } from '@weft/shared';
import { readTensors, writeSafetensors } from '@weft/trainer';

/** The bytes of adapter_model.safetensors: the same values give the same bytes, so their SHA-256 names the version. */
export async function encodeAdapter(layout: AdapterLayout, values: Float32Array): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-adapter-'));
  try {
    const file = join(folder, `${randomBytes(8).toString('hex')}.safetensors`);
    await writeSafetensors(
      file,
      layout.tensors.map(({ name, shape, offset }) => ({
        name,
        dtype: 'F32',
        shape,
        data: values.subarray(offset, offset + shape[0] * shape[1]),
      })),
      { metadata: { format: 'pt' } },
    );
    return await readFile(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @returns [layout.size] values in layout order */
export async function readAdapter(layout: AdapterLayout, file: string): Promise<Float32Array> {
  const { tensors } = await readTensors(file);
  const values = new Float32Array(layout.size);
  for (const { name, shape, offset } of layout.tensors) {
    const tensor = tensors.get(name);
    if (tensor?.values.length !== shape[0] * shape[1]) {
      throw new WeftError('WEFT_BLOB_MISSING', `the stored adapter holds ${tensor?.values.length ?? 0} values of ${name}, its layout ${shape[0] * shape[1]}`);
    }
    values.set(tensor.values, offset);
  }
  return values;
}

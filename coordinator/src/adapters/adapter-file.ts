import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WeftError, type AdapterLayout } from '@weft/shared';
import { type Model, readTensors, saveAdapter } from '@weft/trainer';

const tensorsName = 'adapter_model.safetensors';

/** The files of the PEFT layout, `adapter_config.json` and `adapter_model.safetensors`, by name. */
export async function peftFiles(
  layout: AdapterLayout,
  values: Float32Array,
  base: Pick<Model, 'name' | 'sha256'>,
): Promise<Map<string, Uint8Array>> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-adapter-'));
  try {
    await saveAdapter(folder, base, { layout, adapter: values });
    const files = new Map<string, Uint8Array>();
    for (const name of (await readdir(folder)).sort()) files.set(name, await readFile(join(folder, name)));
    return files;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * The bytes of adapter_model.safetensors: the same values for the same base give the same bytes, so their SHA-256 names
 * the version.
 */
export async function encodeAdapter(
  layout: AdapterLayout,
  values: Float32Array,
  base: Pick<Model, 'name' | 'sha256'>,
): Promise<Uint8Array> {
  const bytes = (await peftFiles(layout, values, base)).get(tensorsName);
  if (bytes === undefined) throw new WeftError('WEFT_INTERNAL', `no ${tensorsName} was written`);
  return bytes;
}

/** @returns [layout.size] values in layout order */
export async function readAdapter(layout: AdapterLayout, file: string): Promise<Float32Array> {
  const { tensors } = await readTensors(file);
  const values = new Float32Array(layout.size);
  for (const { name, shape, offset } of layout.tensors) {
    const tensor = tensors.get(name);
    if (tensor?.values.length !== shape[0] * shape[1]) {
      throw new WeftError(
        'WEFT_BLOB_MISSING',
        `the stored adapter holds ${tensor?.values.length ?? 0} values of ${name}, its layout ${shape[0] * shape[1]}`,
      );
    }
    values.set(tensor.values, offset);
  }
  return values;
}

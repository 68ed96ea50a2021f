import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { type AdapterLayout, createAdapterLayout, isWeftError, WeftError } from '@weft/shared';
import type { Model } from '../models/model.ts';
import {
  readSafetensorsHeader,
  readTensor,
  type TensorRef,
  writeFileAtomically,
  writeSafetensors,
} from '../weights/index.ts';
import { parseAdapterConfig, toAdapterConfig } from './adapter-config.ts';
import { type AdapterBase, baseMetadata, compareBase } from './base-of-adapter.ts';

const configName = 'adapter_config.json';
const tensorsName = 'adapter_model.safetensors';
/** PEFT's own have about 1 KB. */
const configLimitBytes = 1024 * 1024;

export interface LoadedAdapter {
  readonly layout: AdapterLayout;
  /** Values in layout order. */
  readonly adapter: Float32Array;
}

export interface LoadAdapterOptions {
  /** Take an adapter that was trained on another model, too, if its shapes fit. */
  readonly anyBase?: boolean | undefined;
}

/**
 * Reads a folder that PEFT or `saveAdapter` wrote, and checks that every tensor fits the model. What `saveAdapter` wrote
 * says on which model it was trained, and is refused for another; of others the shapes are all there is to check.
 */
export async function loadAdapter(
  folder: string,
  model: Pick<Model, 'config' | 'name' | 'sha256'>,
  { anyBase = false }: LoadAdapterOptions = {},
): Promise<LoadedAdapter & { readonly base: AdapterBase }> {
  const { baseName, ...settings } = parseAdapterConfig(await readConfig(path.join(folder, configName)));
  try {
    const { tensors, metadata } = await readSafetensorsHeader(path.join(folder, tensorsName));
    const base = compareBase(metadata, baseName, model, anyBase);
    const layout = createAdapterLayout(model.config, settings);
    return { layout, adapter: await valuesOf(tensors, layout), base };
  } catch (cause) {
    if (isWeftError(cause, 'WEFT_MODEL_NOT_FOUND')) throw notFound(folder, tensorsName, cause);
    if (isWeftError(cause, 'WEFT_MODEL_UNSUPPORTED'))
      throw new WeftError('WEFT_ADAPTER_UNSUPPORTED', `${tensorsName}: ${cause.message}`, cause.details, { cause });
    if (isWeftError(cause) && cause.code.startsWith('WEFT_MODEL_')) {
      throw new WeftError('WEFT_ADAPTER_CORRUPT', `${tensorsName}: ${cause.message}`, cause.details, { cause });
    }
    throw cause;
  }
}

/** Writes the folder that PEFT's `PeftModel.from_pretrained` loads. Each file is whole or absent. */
export async function saveAdapter(
  folder: string,
  model: Pick<Model, 'name' | 'sha256'>,
  { layout, adapter }: LoadedAdapter,
): Promise<void> {
  if (adapter.length !== layout.size) {
    throw new WeftError('WEFT_ADAPTER_MISFIT', `the adapter has ${adapter.length} values, its layout ${layout.size}`);
  }
  await mkdir(folder, { recursive: true });
  const tensors = layout.tensors.map(({ name, shape, offset }) => ({
    name,
    dtype: 'F32' as const,
    shape,
    data: adapter.subarray(offset, offset + shape[0] * shape[1]),
  }));
  await writeSafetensors(path.join(folder, tensorsName), tensors, {
    metadata: { format: 'pt', ...baseMetadata(model) },
  });
  const config = new TextEncoder().encode(toAdapterConfig(layout, model.name));
  await writeFileAtomically(path.join(folder, configName), async (handle) => handle.writeFile(config));
}

/** The values of an adapter_model.safetensors in the order of a layout; every tensor must fit and be finite. */
export async function readAdapterValues(file: string, layout: AdapterLayout): Promise<Float32Array> {
  return valuesOf((await readSafetensorsHeader(file)).tensors, layout);
}

async function valuesOf(tensors: ReadonlyMap<string, TensorRef>, layout: AdapterLayout): Promise<Float32Array> {
  if (tensors.size !== layout.tensors.length) {
    const what = `${tensorsName} has ${tensors.size} tensors, this model with these targets has ${layout.tensors.length}`;
    throw new WeftError('WEFT_ADAPTER_MISFIT', what, { tensors: tensors.size, expected: layout.tensors.length });
  }
  // All shapes before any values: a configuration can name a rank that fills the memory.
  const found = layout.tensors.map(({ name, shape, offset }) => {
    const tensor = tensors.get(name);
    if (!tensor) throw new WeftError('WEFT_ADAPTER_MISFIT', `${tensorsName} has no tensor ${name}`, { tensor: name });
    if (tensor.shape.length !== 2 || tensor.shape[0] !== shape[0] || tensor.shape[1] !== shape[1]) {
      const what = `${name} has shape [${tensor.shape.join(', ')}], this model needs [${shape.join(', ')}]`;
      throw new WeftError('WEFT_ADAPTER_MISFIT', what, { tensor: name });
    }
    return { tensor, offset };
  });
  const values = new Float32Array(layout.size);
  for (const { tensor, offset } of found) {
    const read = await readTensor(tensor);
    if (!read.every((value) => Number.isFinite(value))) {
      throw new WeftError('WEFT_ADAPTER_CORRUPT', `${tensor.name} has values that are not finite`, {
        tensor: tensor.name,
      });
    }
    values.set(read, offset);
  }
  return values;
}

async function readConfig(file: string): Promise<string> {
  const handle = await open(file, 'r').catch((cause: unknown) => {
    throw notFound(path.dirname(file), configName, cause);
  });
  try {
    const { size } = await handle.stat();
    if (size > configLimitBytes)
      throw new WeftError('WEFT_ADAPTER_CORRUPT', `${configName} has ${size} bytes, the limit is ${configLimitBytes}`);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

const notFound = (folder: string, file: string, cause: unknown): WeftError =>
  new WeftError(
    'WEFT_ADAPTER_NOT_FOUND',
    `there is no ${file} to read in ${path.basename(folder)}`,
    { file },
    { cause },
  );

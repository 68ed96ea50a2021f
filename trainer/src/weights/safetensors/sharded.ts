import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { WeftError } from '@weft/shared';
import { insideFolder, type ModelFile } from '../model-files.ts';
import type { TensorRef } from '../tensor-ref.ts';
import { safetensorsLimits as limits } from './limits.ts';
import { readSafetensorsHeader } from './read.ts';

export const indexName = 'model.safetensors.index.json';

/**
 * All tensors of a Hugging Face folder by name. Which files count: those of the index where there is one, else
 * `model.safetensors`, else every `model-…` shard, else every .safetensors file. The index itself is not under the
 * model's hash, so a folder that was downloaded by hash has none and reads the same.
 */
export async function readShardedTensors(folder: string, files: readonly ModelFile[]): Promise<Map<string, TensorRef>> {
  const index = await readIndex(folder);
  const names = index === undefined ? weightFiles(files.map((file) => file.name)) : new Set(index.values());
  const tensors = new Map<string, TensorRef>();
  for (const name of names) {
    const file = await insideFolder(folder, name);
    if (!files.some((hashed) => hashed.name === name)) {
      throw new WeftError('WEFT_MODEL_CORRUPT', `the index names ${name}, which the model's hash does not cover`);
    }
    const shard = await readSafetensorsHeader(file);
    for (const [tensor, ref] of shard.tensors) {
      if (index !== undefined && index.get(tensor) !== name) continue; // transformers takes the index at its word
      if (tensors.has(tensor)) throw new WeftError('WEFT_MODEL_CORRUPT', `${tensor} stands in two safetensors files`);
      tensors.set(tensor, ref);
    }
  }
  for (const [tensor, name] of index ?? []) {
    if (!tensors.has(tensor))
      throw new WeftError('WEFT_MODEL_CORRUPT', `the index places ${tensor} in ${name}, which does not hold it`);
  }
  return tensors;
}

/** Which files hold the weights where no index says it. */
export function weightFiles(names: readonly string[]): string[] {
  const all = names.filter((name) => name.endsWith('.safetensors'));
  if (all.includes('model.safetensors')) return ['model.safetensors'];
  const shards = all.filter((name) => shardName.test(name));
  checkComplete(shards);
  return shards.length > 0 ? shards : all;
}

const shardName = /^model-(\d+)-of-(\d+)\.safetensors$/;

/** A shard says how many there are. */
function checkComplete(shards: readonly string[]): void {
  for (const shard of shards) {
    const [, number = '', total = ''] = shardName.exec(shard) ?? [];
    for (let index = 1; index <= Number(total); index++) {
      const name = `model-${String(index).padStart(number.length, '0')}-of-${total}.safetensors`;
      if (shards.includes(name)) continue;
      const what = `the folder has ${shards.length} of ${Number(total)} shards, ${name} is missing`;
      throw new WeftError('WEFT_MODEL_CORRUPT', what, { name });
    }
  }
}

async function readIndex(folder: string): Promise<Map<string, string> | undefined> {
  const present = await stat(join(folder, indexName)).catch(() => undefined);
  if (present === undefined) return undefined;
  const file = await insideFolder(folder, indexName);
  if (present.size > limits.indexBytes) throw beyond('indexBytes', present.size);
  return parseIndex(await readFile(file, 'utf8'));
}

/** Tensor name → file name. A file name is one name: no folder, so nothing that could leave the model's. */
export function parseIndex(json: string): Map<string, string> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    throw new WeftError('WEFT_MODEL_CORRUPT', 'the safetensors index is not JSON');
  }
  const map = (parsed as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map))
    throw new WeftError('WEFT_MODEL_CORRUPT', 'the safetensors index has no weight_map');
  const entries = Object.entries(map);
  if (entries.length > limits.tensors) throw beyond('tensors', entries.length);
  for (const [, name] of entries) {
    if (typeof name !== 'string')
      throw new WeftError('WEFT_MODEL_CORRUPT', 'the safetensors index names a file by something that is no string');
    if (/[/\\\0]/.test(name) || name.startsWith('.')) {
      throw new WeftError(
        'WEFT_MODEL_PATH_ESCAPES',
        `the safetensors index names ${name.slice(0, 120)}, which is no plain file name in the model's folder`,
      );
    }
    if (!name.endsWith('.safetensors'))
      throw new WeftError(
        'WEFT_MODEL_CORRUPT',
        `the safetensors index names ${name.slice(0, 120)}, which is no .safetensors file`,
      );
  }
  const shards = new Set(entries.map(([, name]) => name as string)).size;
  if (shards > limits.shards) throw beyond('shards', shards);
  return new Map(entries as [string, string][]);
}

const beyond = (name: keyof typeof limits, actual: number): WeftError =>
  new WeftError('WEFT_MODEL_LIMIT', `safetensors: ${name} is ${actual}, the limit is ${limits[name]}`, {
    limit: `safetensors.${name}`,
    actual,
  });

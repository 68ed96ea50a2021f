import { posix } from 'node:path';
import { WeftError } from '@weft/shared';
import { safetensorsLimits } from '../weights/safetensors/limits.ts';
import { indexName, parseIndex, weightFiles } from '../weights/safetensors/sharded.ts';
import { hubLimits } from './limits.ts';
import { isPlainPath, type HubReference } from './reference.ts';
import { printable } from './refusal.ts';
import type { HubFile } from './repository.ts';

/** Beside configuration and weights: what makes a tokenizer, and what an exported copy of the base has to carry. */
const companions = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'generation_config.json',
  'LICENSE',
  'LICENSE.md',
  'LICENSE.txt',
  'NOTICE',
];

/** Formats whose reading runs code, or that hold them. */
const isPickled = (path: string): boolean => /\.(?:bin|pt|pth|ckpt|pkl|pickle)$/i.test(path);
const isGguf = (path: string): boolean => path.toLowerCase().endsWith('.gguf');

export interface FolderHead {
  readonly config: HubFile;
  /** Where the repository has one. */
  readonly index: HubFile | undefined;
}

/**
 * What has to be read before anything large is fetched.
 * @throws WEFT_HUB_WEIGHTS_UNUSABLE, WEFT_HUB_FILE_UNKNOWN
 */
export function chooseHead(files: readonly HubFile[], reference: HubReference): FolderHead {
  const { repository } = reference;
  const paths = files.map(({ path }) => path);
  if (!paths.some((path) => path.endsWith('.safetensors'))) {
    if (paths.some(isGguf))
      throw new WeftError(
        'WEFT_HUB_FILE_UNKNOWN',
        `${repository} holds GGUF files only: ${named(paths.filter(isGguf))}`,
      );
    const pickled = paths.filter(isPickled);
    throw new WeftError(
      'WEFT_HUB_WEIGHTS_UNUSABLE',
      pickled.length > 0
        ? `${repository} holds its weights only pickled (${named(pickled)})`
        : `${repository} holds no weights in its first folder`,
    );
  }
  const find = (name: string): HubFile | undefined => files.find(({ path }) => path === name);
  const config = find('config.json');
  if (config === undefined || find('tokenizer.json') === undefined)
    throw new WeftError(
      'WEFT_HUB_WEIGHTS_UNUSABLE',
      `${repository} holds no ${config === undefined ? 'config.json' : 'tokenizer.json'}`,
    );
  const index = find(indexName);
  bounded(index === undefined ? [config] : [config, index]);
  return { config, index };
}

/** Everything of a folder that training needs, weights last; @param index text of the safetensors index */
export function chooseFolder(files: readonly HubFile[], index: string | undefined): HubFile[] {
  const names = files.map(({ path }) => path).filter((path) => !path.includes('/') && !path.startsWith('.'));
  const weights = index === undefined ? weightFiles(names) : [...new Set(parseIndex(index).values())];
  if (weights.length > safetensorsLimits.shards)
    throw beyond('safetensors.shards', 'files of weights', weights.length, safetensorsLimits.shards);
  const other = ['config.json', ...companions, ...(index === undefined ? [] : [indexName])];
  const wanted = [...other.filter((name) => names.includes(name)), ...weights.toSorted()];
  return bounded(
    wanted.map((name) => {
      const file = files.find(({ path }) => path === name);
      if (file === undefined)
        throw new WeftError(
          'WEFT_HUB_WEIGHTS_UNUSABLE',
          `the index names ${printable(name)}, which the repository does not hold`,
        );
      return file;
    }),
  );
}

/** @throws WEFT_HUB_FILE_UNKNOWN, WEFT_HUB_WEIGHTS_UNUSABLE */
export function chooseGguf(files: readonly HubFile[], repository: string, wanted: string): HubFile[] {
  const file = files.find(({ path }) => path === wanted);
  if (file === undefined) {
    const others = files.map(({ path }) => path).filter(isGguf);
    throw new WeftError(
      'WEFT_HUB_FILE_UNKNOWN',
      `${repository} holds no ${wanted}; ${others.length === 0 ? 'there is no GGUF file beside it' : `it holds ${named(others)}`}`,
    );
  }
  if (/-\d{5}-of-\d{5}\.gguf$/i.test(wanted))
    throw new WeftError('WEFT_HUB_WEIGHTS_UNUSABLE', `${wanted} is one part of a GGUF that was split`);
  return bounded([file]);
}

function bounded(files: HubFile[]): HubFile[] {
  for (const { path, sizeBytes } of files) {
    if (!isPlainPath(path))
      throw new WeftError('WEFT_HUB_ANSWER_INVALID', `the hub lists a file as ${JSON.stringify(printable(path))}`);
    const heavy = path.endsWith('.safetensors') || isGguf(path);
    const [limit, limitBytes] = heavy
      ? (['hub.weightFileBytes', hubLimits.weightFileBytes] as const)
      : (['hub.companionFileBytes', hubLimits.companionFileBytes] as const);
    if (sizeBytes > limitBytes) throw beyond(limit, `bytes of ${path}`, sizeBytes, limitBytes);
  }
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (totalBytes > hubLimits.modelBytes)
    throw beyond('hub.modelBytes', 'bytes of the model', totalBytes, hubLimits.modelBytes);
  return files;
}

const beyond = (limit: string, what: string, actual: number, allowed: number): WeftError =>
  new WeftError('WEFT_HUB_LIMIT', `${what}: ${actual}, the limit is ${allowed}`, { limit, actual });

const listed = 8;

/** Some of them, without their folder: the reader knows it. */
const named = (paths: readonly string[]): string => {
  const names = paths.slice(0, listed).map((path) => printable(posix.basename(path)));
  return paths.length > listed ? `${names.join(', ')} and ${paths.length - listed} more` : names.join(', ');
};

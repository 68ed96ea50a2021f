import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { WeftError } from '@weft/shared';
import { isHubReference } from './hub/reference.ts';
import { findPulled } from './hub/snapshot.ts';
import { families, type Family } from './models/families.ts';
import type { Model, ModelConfig } from './models/model.ts';
import type { OnProgress } from './progress.ts';
import { tokenizerFromFolder } from './tokenizer/from-folder.ts';
import { tokenizerFromGguf } from './tokenizer/from-gguf.ts';
import type { Tokenizer } from './tokenizer/tokenizer.ts';
import { type Base, openBlocks, originalsOfGguf, originalsOfTensors } from './weights/blocks/open-blocks.ts';
import { defaultCacheDir } from './weights/cache-folder.ts';
import { parseConfigJson } from './weights/config-json.ts';
import { fitTensors } from './weights/fit-config.ts';
import { configFromGguf } from './weights/gguf/model-config.ts';
import type { GgufHeader } from './weights/gguf/header.ts';
import { readGgufHeader, readGgufVector } from './weights/gguf/read.ts';
import { ropeFactorsName } from './weights/gguf/rope.ts';
import { tensorsOfModel } from './weights/gguf/model-tensors.ts';
import { hashGguf, unpackGguf } from './weights/gguf/unpack.ts';
import { hashOfFiles, insideFolder, locateModel, modelFiles } from './weights/model-files.ts';
import { readShardedTensors } from './weights/safetensors/sharded.ts';
import type { TensorRef } from './weights/tensor-ref.ts';

export interface OpenModelOptions {
  /** How matrices are kept; default: fp32, which everything but generating needs. */
  readonly base?: Base | undefined;
  /** Where pulled models are and GGUF files are unpacked; default: WEFT_CACHE, or `weft` in the user's cache folder. */
  readonly cacheDir?: string | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** config.json has a few hundred bytes. */
const configLimitBytes = 1024 * 1024;

/**
 * Opens a Hugging Face folder or a .gguf file and checks all of it: hash, configuration, tensors, tokenizer.
 * `hf:ORG/NAME[@REVISION][:FILE.gguf]` is one that was pulled into the cache.
 */
export async function openModel(path: string, options: OpenModelOptions = {}): Promise<Model> {
  if (isHubReference(path)) return openPulled(path, options);
  const place = await locateModel(path);
  return place.kind === 'gguf' ? openGguf(place.file, options) : openFolder(place.folder, options);
}

/** By the name that other tools know it by, and only with the hash that it was pulled with. */
async function openPulled(reference: string, options: OpenModelOptions): Promise<Model> {
  const pulled = await findPulled(reference, options.cacheDir ?? defaultCacheDir());
  const model = await openModel(pulled.path, options);
  if (model.sha256 !== pulled.sha256)
    throw new WeftError(
      'WEFT_HUB_CACHE_DAMAGED',
      `${reference} was pulled with the hash ${pulled.sha256} and has ${model.sha256} now`,
      { path: pulled.path },
    );
  return pulled.file === null ? { ...model, name: pulled.repository } : model;
}

async function openGguf(file: string, options: OpenModelOptions): Promise<Model> {
  const before = await stat(file, { bigint: true });
  const header = await readGgufHeader(file);
  const config = configFromGguf(header, await readGgufVector(file, header, ropeFactorsName));
  const cacheDir = options.cacheDir ?? defaultCacheDir();
  const unchanged = async (): Promise<void> => {
    const after = await stat(file, { bigint: true });
    if (
      after.ino !== before.ino ||
      after.size !== before.size ||
      after.mtimeNs !== before.mtimeNs ||
      after.ctimeNs !== before.ctimeNs
    ) {
      throw new WeftError('WEFT_MODEL_CORRUPT', 'the GGUF file changed while it was read', { file });
    }
  };
  let built: Tokenizer | undefined;
  const tokenizer = (): Tokenizer => (built ??= fitTokenizer(tokenizerFromGguf(header.metadata), config));
  const work = { ...options, cacheDir, unchanged, meanwhile: (): void => void tokenizer() };
  const name = nameOf(header.metadata.get('general.name')) ?? basename(file, '.gguf');
  const { base = 'fp32' } = options;
  if (base !== 'fp32') {
    fitTensors(refsOf(header, config, file), config);
    const sha256 = await hashGguf(file, work);
    const kept = await openBlocks(originalsOfGguf(file, sha256, header, config, base), base, config, work);
    if (kept) return { name, path: file, sha256, config, ...kept, tokenizer: tokenizer() };
  }
  const { sha256, weights } = await unpackGguf(file, header, config, work);
  return { name, path: file, sha256, config, tensors: fitTensors(weights.tensors, config), tokenizer: tokenizer() };
}

async function openFolder(folder: string, options: OpenModelOptions): Promise<Model> {
  const files = await modelFiles(folder, options);
  const configFile = await insideFolder(folder, 'config.json');
  const { size } = await stat(configFile);
  if (size > configLimitBytes)
    throw new WeftError('WEFT_MODEL_LIMIT', `config.json has ${size} bytes, the limit is ${configLimitBytes}`);
  const { config, ...ids } = parseConfigJson(await readFile(configFile, 'utf8'));
  const tensors = fitTensors(await readShardedTensors(folder, files), config);
  const { tokensWithoutRow }: Family = families[config.family];
  const hasRow = ({ id, content }: { id: number; content: string }): boolean =>
    id < config.vocabSize || !tokensWithoutRow.includes(content);
  const tokenizer = fitTokenizer(await tokenizerFromFolder(folder, ids, hasRow), config);
  const sha256 = hashOfFiles({ kind: 'folder', folder }, files);
  const common = { name: basename(folder), path: folder, sha256, config, tokenizer };
  const { base = 'fp32', cacheDir = defaultCacheDir() } = options;
  const originals = originalsOfTensors(tensors, sha256, base);
  const kept = base === 'fp32' ? undefined : await openBlocks(originals, base, config, { ...options, cacheDir });
  return { ...common, tensors, ...kept };
}

/** A GGUF's tensors by Hugging Face's names, with the shapes that they have. */
const refsOf = (header: GgufHeader, config: ModelConfig, file: string): Map<string, TensorRef> =>
  new Map(
    tensorsOfModel(header, config).map(({ name, packed: { shape, offset, sizeBytes } }) => [
      name,
      { name, dtype: 'F32', shape, file, offset, sizeBytes },
    ]),
  );

/** Fewer ids than rows are usual, the embedding is often padded; more would read past its end. */
function fitTokenizer(tokenizer: Tokenizer, config: ModelConfig): Tokenizer {
  if (tokenizer.vocabSize <= config.vocabSize) return tokenizer;
  throw new WeftError(
    'WEFT_MODEL_TOKENIZER_MISFIT',
    `the tokenizer's ids go up to ${tokenizer.vocabSize - 1}, the model has ${config.vocabSize} rows of embedding`,
    {
      tokenizer: tokenizer.vocabSize,
      model: config.vocabSize,
    },
  );
}

const nameOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value.trim().length > 0 ? value.trim().slice(0, 120) : undefined;

import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { LoadedAdapter } from '../../adapters/peft-folder.ts';
import { families } from '../../models/families.ts';
import type { Model } from '../../models/model.ts';
import { readTokenizerFiles } from '../../tokenizer/from-folder.ts';
import type { GgufValue } from '../../weights/gguf/header.ts';
import { readGgufHeader } from '../../weights/gguf/read.ts';
import { type GgufEntryToWrite, ggufTensorBytes, writeGguf } from '../../weights/gguf/write.ts';
import { locateModel } from '../../weights/model-files.ts';
import { mergedRows } from '../merge-weights.ts';
import { cardOf, modelfileOf } from '../loading-notes.ts';
import { modelCard, type Origin, originEntries } from '../model-card.ts';
import { writeNewFiles } from '../new-path.ts';
import { countBytes, type WriteOptions } from '../write-options.ts';
import { modelfile } from './modelfile.ts';
import { f32, type GgufEntries, modelEntries, text, u32 } from './model-metadata.ts';
import { type GgufDtype, modelTensors } from './model-tensors.ts';
import { tokenizerEntries } from './tokenizer-metadata.ts';

/** general.file_type: what most tensors are (llama.h, llama_ftype). */
const fileTypes: Readonly<Record<GgufDtype, number>> = { F32: 0, F16: 1, Q8_0: 7 };
/** general.quantization_version (ggml.h, GGML_QNT_VERSION). */
const quantisationVersion = 2;

/** One file that llama.cpp loads by itself, tokenizer and chat template included; beside it its card and a Modelfile. */
export async function writeGgufModel(
  path: string,
  model: Model,
  loaded: LoadedAdapter | undefined,
  dtype: GgufDtype,
  origin: Origin,
  { signal, onProgress }: WriteOptions = {},
): Promise<void> {
  const metadata = new Map<string, GgufEntryToWrite>([
    ['general.architecture', text(families[model.config.family].gguf.architecture)],
    ['general.type', text('model')],
    ['general.name', text(origin.adapter ? `${origin.baseName}, fine-tuned` : origin.baseName)],
    ['general.description', text(`Made with: ${origin.command}`)],
    ['general.base_model.count', u32(1)],
    ['general.base_model.0.name', text(origin.baseName)],
    ['general.file_type', u32(fileTypes[dtype])],
    ['general.quantization_version', u32(quantisationVersion)],
    ...Object.entries(originEntries(origin)).map(([key, value]) => [key, text(value)] as const),
    ...modelEntries(model.config),
    ...(await entriesOfTokenizer(model)),
  ]);
  const tensors = modelTensors(model, mergedRows(loaded), dtype);
  const totalBytes = tensors.reduce((sum, { type, shape }) => sum + ggufTensorBytes(type, shape), 0);
  const [card, description] = [cardOf(path), modelfileOf(path)];
  await writeNewFiles([card, description, path], async (folder) => {
    const within = (file: string): string => join(folder, basename(file));
    await writeFile(within(card), modelCard(origin, 'gguf', basename(path)));
    await writeFile(within(description), modelfile(basename(path), model.tokenizer));
    await writeGguf(within(path), metadata, tensors, { signal, onBytes: countBytes(totalBytes, onProgress) });
  });
}

async function entriesOfTokenizer(model: Model): Promise<GgufEntries> {
  const place = await locateModel(model.path);
  if (place.kind === 'gguf') return copiedEntries((await readGgufHeader(place.file)).metadata);
  const files = await readTokenizerFiles(place.folder);
  const addBosToken = files.config['add_bos_token'];
  const { bosTokenId, eosTokenId, padTokenId } = model.tokenizer;
  return tokenizerEntries({
    text: files.text,
    bosTokenId,
    eosTokenId,
    padTokenId,
    chatTemplate: files.chatTemplate,
    addBosToken: typeof addBosToken === 'boolean' ? addBosToken : undefined,
    rows: model.config.vocabSize,
  });
}

/** What a GGUF says of its tokenizer, and of whose it is, word for word. */
const copiedEntries = (metadata: ReadonlyMap<string, GgufValue>): GgufEntries =>
  [...metadata].flatMap(([key, value]): GgufEntries => {
    const isCopied = key.startsWith('tokenizer.') || /^general\.(license|author|organization|url|repo_url)/.test(key);
    const entry = isCopied ? entryOf(key, value) : undefined;
    return entry ? [[key, entry]] : [];
  });

/** The types that llama.cpp gives such values; a header that was read no longer tells. */
function entryOf(key: string, value: GgufValue): GgufEntryToWrite | undefined {
  if (typeof value === 'string') return text(value);
  if (typeof value === 'boolean') return { type: 'bool', value };
  if (typeof value === 'number') return Number.isInteger(value) ? u32(value) : f32(value);
  if (typeof value === 'bigint') return undefined;
  if (value.every((item) => typeof item === 'string')) return { type: 'strings', value };
  if (value.every((item) => typeof item === 'number'))
    return { type: key.endsWith('.scores') ? 'f32s' : 'i32s', value };
  return undefined;
}

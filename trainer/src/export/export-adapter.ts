import { resolve } from 'node:path';
import { type Sha256, WeftError } from '@weft/shared';
import type { AdapterBase } from '../adapters/base-of-adapter.ts';
import { loadAdapter, type LoadedAdapter } from '../adapters/peft-folder.ts';
import { adapterHash, readTrainingRecord, type TrainingRecord } from '../adapters/training-record.ts';
import type { Model } from '../models/model.ts';
import type { OnProgress } from '../progress.ts';
import { writeGgufModel } from './gguf/gguf-model.ts';
import { writeGgufLora } from './gguf-lora.ts';
import { licenceOf } from './licence.ts';
import { writeMergedFolder } from './merged-folder.ts';
import type { Origin } from './model-card.ts';
import { refuseTaken } from './new-path.ts';
import { writeOnnxFolder } from './onnx/onnx-folder.ts';
import { copyAdapter } from './peft.ts';

export type ExportDtype = 'f32' | 'f16' | 'q8_0' | 'base';

/** Format → what the weights can be written as; the first is the default, and none stands for the adapter's own. */
export const exportFormats = {
  peft: [],
  safetensors: ['f32', 'base'],
  onnx: ['f32', 'f16'],
  gguf: ['f32', 'f16', 'q8_0'],
  'gguf-lora': [],
} as const satisfies Readonly<Record<string, readonly ExportDtype[]>>;
export type ExportFormat = keyof typeof exportFormats;

export interface ExportOptions {
  readonly model: Model;
  /** A folder in PEFT's layout; without it the base alone is written, for the formats that hold a whole model. */
  readonly adapter?: string | undefined;
  /** As for `loadAdapter`. */
  readonly anyBase?: boolean | undefined;
  readonly format: ExportFormat;
  /** A folder, or for gguf and gguf-lora a file named .gguf with its card beside it; nothing may stand there. */
  readonly out: string;
  /** One of the format's. */
  readonly dtype?: ExportDtype | undefined;
  /** What the model card says made it. */
  readonly command?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

export interface Exported {
  readonly path: string;
  readonly baseSha256: Sha256;
  readonly adapterSha256?: Sha256;
  /** Whether the adapter says that it was trained on this base. */
  readonly adapterBase?: AdapterBase;
}

/** Checks an adapter against its base and writes it, or both in one, for other tools; all of it or nothing. */
export async function exportAdapter(options: ExportOptions): Promise<Exported> {
  const { model, format, command = 'exportAdapter of @weft/trainer', signal, onProgress } = options;
  const path = resolve(options.out);
  const dtype = dtypeOf(options);
  refuseOtherName(path, format);
  await refuseTaken(path);
  const found = options.adapter === undefined ? undefined : await openAdapter(options.adapter, options);
  const baseSha256 = model.sha256;
  const origin: Origin = {
    baseName: model.name,
    baseSha256,
    licence: await licenceOf(model),
    command,
    ...(found && { adapter: { sha256: found.sha256, layout: found.loaded.layout, training: found.training } }),
  };
  const watched = { signal, onProgress };
  switch (format) {
    case 'peft':
      await copyAdapter(needed(found, format).folder, path, origin);
      break;
    case 'safetensors':
      await writeMergedFolder(path, model, found?.loaded, dtype === 'base' ? 'base' : 'f32', origin, watched);
      break;
    case 'onnx':
      await writeOnnxFolder(path, model, found?.loaded, dtype === 'f16' ? 'F16' : 'F32', origin, watched);
      break;
    case 'gguf':
      await writeGgufModel(path, model, found?.loaded, ggufTypes[dtype ?? 'f32'], origin, watched);
      break;
    case 'gguf-lora': {
      const { loaded } = needed(found, format);
      await writeGgufLora(path, model.config, loaded, origin, watched);
      break;
    }
  }
  return { path, baseSha256, ...(found && { adapterSha256: found.sha256, adapterBase: found.base }) };
}

/** Whoever opens a model tells a GGUF by its name. */
function refuseOtherName(path: string, format: ExportFormat): void {
  const isGguf = format === 'gguf' || format === 'gguf-lora';
  if (isGguf && !path.toLowerCase().endsWith('.gguf'))
    throw new WeftError('WEFT_USAGE', `--format ${format} writes a file: --out must end in .gguf`);
}

const ggufTypes = { f32: 'F32', f16: 'F16', q8_0: 'Q8_0', base: 'F32' } as const;

function dtypeOf({ format, dtype }: ExportOptions): ExportDtype | undefined {
  const possible: readonly ExportDtype[] = exportFormats[format];
  if (dtype === undefined || possible.includes(dtype)) return dtype ?? possible[0];
  const words = possible.length > 0 ? possible.join(' or ') : 'as it is';
  throw new WeftError(
    'WEFT_FLAG_DISAGREES',
    `--dtype ${dtype} is not for --format ${format}, which is written ${words}`,
  );
}

interface FoundAdapter {
  readonly folder: string;
  readonly loaded: LoadedAdapter;
  readonly base: AdapterBase;
  readonly sha256: Sha256;
  readonly training: TrainingRecord | undefined;
}

async function openAdapter(folder: string, { model, anyBase, signal }: ExportOptions): Promise<FoundAdapter> {
  const { base, ...loaded } = await loadAdapter(folder, model, { anyBase });
  const sha256 = await adapterHash(folder, { signal });
  return { folder, loaded, base, sha256, training: await readTrainingRecord(folder, sha256) };
}

function needed(found: FoundAdapter | undefined, format: ExportFormat): FoundAdapter {
  if (found) return found;
  throw new WeftError('WEFT_USAGE', `--format ${format} writes an adapter: it needs --adapter`);
}

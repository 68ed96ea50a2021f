import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Sha256 } from '@weft/shared';
import { loadAdapter } from '../adapters/peft-folder.ts';
import type { Model } from '../models/model.ts';
import { hashFile } from '../weights/hash-file.ts';
import { writeGgufLora } from './gguf-lora.ts';
import type { MergedDtype } from './merge-weights.ts';
import { writeMergedFolder } from './merged-folder.ts';
import type { Origin } from './model-card.ts';
import { refuseTaken } from './new-path.ts';
import { copyAdapter } from './peft.ts';

export const exportFormats = ['peft', 'safetensors', 'gguf-lora'] as const;
export type ExportFormat = (typeof exportFormats)[number];

export interface ExportOptions {
  readonly model: Model;
  /** A folder in PEFT's layout. */
  readonly adapter: string;
  readonly format: ExportFormat;
  /** A folder, or a file for gguf-lora; nothing may stand there. */
  readonly out: string;
  /** Of merged weights; default: f32. */
  readonly dtype?: MergedDtype | undefined;
  /** What the model card says made it. */
  readonly command: string;
  readonly signal?: AbortSignal | undefined;
}

export interface Exported {
  readonly path: string;
  readonly baseSha256: Sha256;
  readonly adapterSha256: Sha256;
}

/** Checks an adapter against its base and writes it, or both in one, for other tools; all of it or nothing. */
export async function exportAdapter(options: ExportOptions): Promise<Exported> {
  const { model, adapter, format, command, signal } = options;
  const path = resolve(options.out);
  await refuseTaken(path);
  const loaded = await loadAdapter(adapter, model);
  const adapterSha256 = await hashFile(join(adapter, 'adapter_model.safetensors'), { signal });
  const baseSha256 = model.sha256;
  const origin: Origin = { baseName: model.name, baseSha256, adapterSha256, layout: loaded.layout, command };
  switch (format) {
    case 'peft':
      await copyAdapter(adapter, path, origin);
      break;
    case 'safetensors':
      await writeMergedFolder(path, model, loaded, options.dtype ?? 'f32', origin, signal);
      break;
    case 'gguf-lora':
      await mkdir(dirname(path), { recursive: true });
      await writeGgufLora(path, model.config, loaded, origin, { signal });
      break;
  }
  return { path, baseSha256, adapterSha256 };
}

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LoadedAdapter } from '../adapters/peft-folder.ts';
import type { Model } from '../models/model.ts';
import { writeSafetensors } from '../weights/safetensors/write.ts';
import { withFloat32, writeBaseFiles } from './base-files.ts';
import { mergedTensors, type MergedDtype } from './merge-weights.ts';
import { modelCard, type Origin, originEntries } from './model-card.ts';
import { writeNewFolder } from './new-path.ts';

/** A Hugging Face folder of base and adapter in one, which transformers loads without PEFT. */
export const writeMergedFolder = (
  out: string,
  model: Model,
  loaded: LoadedAdapter | undefined,
  dtype: MergedDtype,
  origin: Origin,
  signal?: AbortSignal,
): Promise<void> =>
  writeNewFolder(out, async (folder) => {
    await writeBaseFiles(model, folder, dtype === 'f32' ? withFloat32 : undefined);
    await writeFile(join(folder, 'README.md'), modelCard(origin, 'merged'));
    await writeSafetensors(join(folder, 'model.safetensors'), mergedTensors(model, loaded, dtype), {
      metadata: { format: 'pt', ...originEntries(origin) },
      ...(signal && { signal }),
    });
  });

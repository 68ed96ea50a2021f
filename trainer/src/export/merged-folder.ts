import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { LoadedAdapter } from '../adapters/peft-folder.ts';
import { elementCount } from '../graph/shape.ts';
import type { Model } from '../models/model.ts';
import { bytesPerElement } from '../weights/half.ts';
import { writeSafetensors } from '../weights/safetensors/write.ts';
import { withFloat32, writeBaseFiles } from './base-files.ts';
import { mergedTensors, type MergedDtype } from './merge-weights.ts';
import { countBytes, type WriteOptions } from './write-options.ts';
import { modelCard, type Origin, originEntries } from './model-card.ts';
import { writeNewFolder } from './new-path.ts';

/** A Hugging Face folder of base and adapter in one, which transformers loads without PEFT. */
export const writeMergedFolder = (
  out: string,
  model: Model,
  loaded: LoadedAdapter | undefined,
  dtype: MergedDtype,
  origin: Origin,
  { signal, onProgress }: WriteOptions = {},
): Promise<void> =>
  writeNewFolder(out, async (folder) => {
    await writeBaseFiles(model, folder, dtype === 'f32' ? withFloat32 : undefined);
    await writeFile(join(folder, 'README.md'), modelCard(origin, 'safetensors', basename(out)));
    const tensors = mergedTensors(model, loaded, dtype);
    const onBytes = countBytes(
      tensors.reduce((sum, tensor) => sum + elementCount(tensor.shape) * bytesPerElement[tensor.dtype], 0),
      onProgress,
    );
    await writeSafetensors(join(folder, 'model.safetensors'), tensors, {
      metadata: { format: 'pt', ...originEntries(origin) },
      onBytes,
      ...(signal && { signal }),
    });
  });

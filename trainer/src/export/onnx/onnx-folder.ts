import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { LoadedAdapter } from '../../adapters/peft-folder.ts';
import type { Model } from '../../models/model.ts';
import { toJson, writeBaseFiles } from '../base-files.ts';
import { mergedRows } from '../merge-weights.ts';
import { modelCard, type Origin, originEntries } from '../model-card.ts';
import { writeNewFolder } from '../new-path.ts';
import { countBytes, type WriteOptions } from '../write-options.ts';
import { decoderModel } from './decoder-model.ts';
import { genaiConfig, onnxFile, onnxFolder, onnxWeightsFile, transformersJsConfig } from './runtime-config.ts';
import { type OnnxDtype, placeWeights, writeWeights } from './weight-file.ts';

/** A folder as Hugging Face's ONNX models have it; onnxruntime, transformers.js and onnxruntime-genai load it. */
export const writeOnnxFolder = (
  out: string,
  model: Model,
  loaded: LoadedAdapter | undefined,
  dtype: OnnxDtype,
  origin: Origin,
  { signal, onProgress }: WriteOptions = {},
): Promise<void> =>
  writeNewFolder(out, async (folder) => {
    await writeBaseFiles(model, folder, (config) => ({ ...config, ...transformersJsConfig }));
    await writeFile(join(folder, 'README.md'), modelCard(origin, 'onnx', basename(out)));
    await writeFile(join(folder, 'genai_config.json'), toJson(genaiConfig(model)));
    await mkdir(join(folder, onnxFolder));
    const placed = placeWeights(model.config, onnxWeightsFile, dtype);
    await writeFile(join(folder, onnxFolder, onnxFile), decoderModel(model.config, placed, originEntries(origin)));
    const onBytes = countBytes(
      [...placed.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      onProgress,
    );
    const rows = mergedRows(loaded);
    await writeWeights(join(folder, onnxFolder, onnxWeightsFile), placed, model.tensors, rows, { signal, onBytes });
  });

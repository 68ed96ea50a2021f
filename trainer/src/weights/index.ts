export type { TensorDtype, TensorRef } from './tensor-ref.ts';
export { bytesPerElement } from './half.ts';
export {
  readSafetensorsHeader,
  readTensor,
  readTensors,
  type SafetensorsFile,
  type TensorValues,
} from './safetensors/read.ts';
export { writeSafetensors, type TensorToWrite, type WriteOptions } from './safetensors/write.ts';
export { writeFileAtomically } from './atomic-file.ts';
export { hashModel, modelFiles, type ModelFile } from './model-files.ts';
export { defaultCacheDir } from './cache-folder.ts';
export type { Base } from './blocks/open-blocks.ts';

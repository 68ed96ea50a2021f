export type { TensorDtype, TensorRef } from './tensor-ref.ts';
export { bytesPerElement } from './half.ts';
export { readSafetensorsHeader, readTensor, readTensors, type SafetensorsFile, type TensorValues } from './safetensors/read.ts';
export { writeSafetensors, type TensorToWrite, type WriteOptions } from './safetensors/write.ts';
export { writeFileAtomically } from './atomic-file.ts';

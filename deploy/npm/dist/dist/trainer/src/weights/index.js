                                                              
export { bytesPerElement } from './half.js';
export { readSafetensorsHeader, readTensor, readTensors,                                         } from './safetensors/read.js';
export { writeSafetensors,                                       } from './safetensors/write.js';
export { writeFileAtomically } from './atomic-file.js';
export { hashModel, modelFiles,                } from './model-files.js';
export { defaultCacheDir } from './cache-folder.js';
export { expectedTensors } from './fit-config.js';

export * from './weights/index.js';
export { openModel,                       } from './open-model.js';
                                                
export * from './tokenizer/index.js';
export * from './tokenizer-training/index.js';
export * from './data/index.js';
                                                            
export { initAdapter } from './adapters/init-adapter.js';
export { evaluate,                                       } from './evaluate.js';
export { initWeights, weightShapes } from './models/full-source.js';
export { schedules,               } from './optim/schedule.js';
export { devices,             } from './session/device.js';
export { train,                                     } from './train.js';
export { trainFull,                       } from './train-full.js';
                                                    

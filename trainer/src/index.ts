export * from './weights/index.ts';
export { openModel, type OpenModelOptions } from './open-model.ts';
export type { OnProgress } from './progress.ts';
export * from './tokenizer/index.ts';
export * from './data/index.ts';

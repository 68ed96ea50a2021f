export { isWeftError, type LoraTarget, loraTargets, WeftError } from '@weft/shared';
export * from './weights/index.ts';
export { openModel, type OpenModelOptions } from './open-model.ts';
export { holdBase, type HoldBaseOptions } from './weights/quantised/hold-base.ts';
export { type TrainingBase, trainingBases } from './weights/quantised/training-base.ts';
export * from './hub/index.ts';
export type { OnProgress } from './progress.ts';
export * from './tokenizer/index.ts';
export * from './tokenizer-training/index.ts';
export * from './data/index.ts';
export type { Model, ModelConfig } from './models/model.ts';
export { parseConfigJson } from './weights/config-json.ts';
export { initAdapter } from './adapters/init-adapter.ts';
export type { AdapterBase } from './adapters/base-of-adapter.ts';
export {
  loadAdapter,
  type LoadAdapterOptions,
  type LoadedAdapter,
  readAdapterValues,
  saveAdapter,
} from './adapters/peft-folder.ts';
export { evaluate, type EvaluateOptions } from './evaluate.ts';
export type { Evaluation } from './score-examples.ts';
export { adapterHash, saveTrainingRecord, type TrainingRecord } from './adapters/training-record.ts';
export {
  exportAdapter,
  exportFormats,
  type ExportDtype,
  type Exported,
  type ExportFormat,
  type ExportOptions,
} from './export/export-adapter.ts';
export { Decoder, type DecoderOptions } from './generate/decoder.ts';
export {
  continuePrompt,
  type ContinueOptions,
  type Ending,
  generate,
  type GenerateOptions,
} from './generate/generate.ts';
export { TextStream } from './generate/text-stream.ts';
export { initWeights } from './models/full-source.ts';
export { weightShapes } from './models/weight-shapes.ts';
export { schedules, type Schedule } from './optim/schedule.ts';
export { chooseDevice, type ChosenDevice } from './devices/choose-device.ts';
export { choosePrecision, type Precision, precisions } from './devices/precision.ts';
export { surveyDrivers, type Drivers, type Gpu } from './devices/drivers.ts';
export { surveyDevices, type SurveyedDevice } from './devices/survey.ts';
export { runtimeVersion } from './devices/obstacle.ts';
export { devices, type Device } from './session/device.ts';
export * from './checkpoint/index.ts';
export type { LoraTrainStep, TrainResult, Validation } from './train.ts';
export type { GradientCheckpointing } from './gradient-checkpointing.ts';
export { type LoraOptions, train, trainDefaults, type TrainingRun, type TrainOptions } from './training-run.ts';
export { predictTrainingMemory, type TrainingMemory } from './training-memory.ts';
export { trainFull, type TrainFullOptions } from './train-full.ts';
export type { TrainStep } from './training-loop.ts';

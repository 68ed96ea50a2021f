import { Option } from 'commander';
import type { Model, TrainingBase } from '@weft/trainer';
import type { ModelOptions } from './model-options.ts';
import { createProgress } from './progress.ts';

const bases = ['fp32', 'fp16', 'bf16', 'int8', 'int4'] as const satisfies readonly TrainingBase[];

export interface HeldModelOptions extends ModelOptions {
  readonly base: TrainingBase;
}

export const baseOption = (): Option =>
  new Option(
    '--base <type>',
    'how the frozen base weights are held: fp32 as the files have them, int8 for speed on a CPU, fp16 for WebGPU, bf16 or int4 for memory',
  )
    .choices(bases)
    .default('fp32');

/** The model, with its weights in the type that was asked for; making that takes seconds, once. */
export const openHeldModel = async (options: HeldModelOptions, signal: AbortSignal): Promise<Model> => {
  const { holdBase, openModel } = await import('@weft/trainer');
  const model = await openModel(options.model, { cacheDir: options.cache, signal });
  const progress = createProgress();
  let bar: ReturnType<typeof progress.bar> | undefined;
  try {
    return await holdBase(model, options.base, {
      cacheDir: options.cache,
      signal,
      onProgress({ doneBytes, totalBytes }) {
        bar ??= progress.bar(options.base, totalBytes);
        bar.update(doneBytes, '');
      },
    });
  } finally {
    bar?.finish();
    progress.close();
  }
};

import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { wholeNumber } from './option-values.ts';

export const devices = ['auto', 'cpu', 'webgpu', 'cuda', 'dml', 'coreml'] as const;
export type Device = (typeof devices)[number];

/** What every command that opens a model takes. */
export interface ModelOptions {
  readonly model: string;
  readonly threads: number;
  readonly device: Device;
  readonly cache?: string;
}

/** Of commands that take an adapter. */
export const anyBaseOption = [
  '--any-base',
  'take an adapter that was trained on another base model, too, if its shapes fit',
] as const;

/** What a flag that names a model takes. */
export const modelWords =
  'a Hugging Face folder (config.json, tokenizer.json, *.safetensors), a GGUF file, or hf:ORG/NAME once it is pulled';

export const cacheWords =
  'where pulled models and unpacked GGUF files are kept (default: $WEFT_CACHE or ~/.cache/weft)';

/** The absolute path of a model for another process, which need not know what `hf:` means. */
export const pathOfModel = async (model: string, cache: string | undefined): Promise<string> => {
  const { defaultCacheDir, findPulled, isHubReference } = await import('@weft/trainer');
  return isHubReference(model) ? (await findPulled(model, cache ?? defaultCacheDir())).path : resolve(model);
};

export const addModelOptions = (command: Command): Command =>
  command
    .requiredOption('--model <path>', modelWords)
    .addOption(
      new Option('--threads <n>', 'threads of the runtime')
        .argParser(wholeNumber(1, 1024))
        .default(availableParallelism(), 'all cores'),
    )
    .addOption(new Option('--device <name>', 'where to compute').choices(devices).default('auto'))
    .option('--cache <dir>', cacheWords);

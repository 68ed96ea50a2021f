import { basename, resolve } from 'node:path';
import process from 'node:process';
import { Option, type Command } from 'commander';
import { WeftError } from '@weft/shared';
import type { ExportFormat } from '@weft/trainer';
import type { CommandModule } from '../command.ts';
import { onInterrupt } from '../interrupt.ts';

interface ExportOptions {
  readonly model: string;
  readonly adapter: string;
  readonly format: ExportFormat;
  readonly out: string;
  readonly dtype?: 'f32' | 'base';
  readonly cache?: string;
  readonly json?: true;
}

/** For the card, which is published: names without folders, since those tell of the machine. */
const published = ({ model, adapter, format, out, dtype }: ExportOptions): string => {
  const [modelName, adapterName, outName] = [model, adapter, out].map((path) => basename(resolve(path)));
  const words = `weft export --model ${modelName} --adapter ${adapterName} --format ${format} --out ${outName}`;
  return dtype === undefined ? words : `${words} --dtype ${dtype}`;
};

const run = async (options: ExportOptions): Promise<void> => {
  const { model: base, adapter, format, out, dtype, cache, json } = options;
  if (dtype !== undefined && format !== 'safetensors')
    throw new WeftError('WEFT_FLAG_DISAGREES', `--dtype is for --format safetensors, not for ${format}`);
  const { exportAdapter, openModel } = await import('@weft/trainer');
  const signal = onInterrupt('stopping, without writing anything');
  const model = await openModel(base, { cacheDir: cache, signal });
  const exported = await exportAdapter({
    model,
    adapter,
    format,
    out,
    dtype,
    command: published(options),
    signal,
  });
  process.stdout.write(json ? `${JSON.stringify({ format, ...exported })}\n` : `${exported.path}\n`);
};

export const command: CommandModule = {
  examples: [
    'weft export --model models/weft-tiny-llama --adapter adapter --format safetensors --out merged',
    'weft export --model SmolLM2-135M-Instruct.Q4_1.gguf --adapter adapter --format gguf-lora --out adapter.gguf',
  ],
  configure: (command: Command): void => {
    command
      .requiredOption('--model <path>', 'the base model: a Hugging Face folder or a GGUF file')
      .requiredOption('--adapter <dir>', 'an adapter in the layout of PEFT')
      .addOption(
        new Option(
          '--format <name>',
          'peft: a checked copy; safetensors: base and adapter merged, for transformers; gguf-lora: for llama.cpp',
        )
          .choices(['peft', 'safetensors', 'gguf-lora'])
          .makeOptionMandatory(),
      )
      .requiredOption('--out <path>', 'a folder, or a file for gguf-lora; nothing may stand there yet')
      .addOption(
        new Option('--dtype <type>', "of merged weights: f32, or the base's own (default: f32)").choices([
          'f32',
          'base',
        ]),
      )
      .option('--cache <dir>', 'where unpacked GGUF files are kept (default: $WEFT_CACHE or ~/.cache/weft)')
      .option('--json', '{"format","path","baseSha256","adapterSha256"} on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<ExportOptions>()));
  },
};

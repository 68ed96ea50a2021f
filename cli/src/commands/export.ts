import { basename, resolve } from 'node:path';
import process from 'node:process';
import { Option, type Command } from 'commander';
import type { ExportDtype, ExportFormat } from '@weft/trainer';
import type { CommandModule } from '../command.ts';
import { byteBars } from '../byte-bars.ts';
import { createProgress } from '../progress.ts';
import { onInterrupt } from '../interrupt.ts';
import { anyBaseOption, cacheWords, modelWords } from '../model-options.ts';
import { signModelAt } from '../model-files.ts';
import { sayWhichBase } from '../say-which-base.ts';
import { readOrganisation } from '../organisation-key.ts';

interface ExportOptions {
  readonly model: string;
  readonly adapter?: string;
  readonly anyBase?: true;
  readonly format: ExportFormat;
  readonly out: string;
  readonly dtype?: ExportDtype;
  readonly sign?: string;
  readonly cache?: string;
  readonly json?: true;
}

const formats = {
  peft: 'a checked copy',
  safetensors: 'base and adapter merged, for transformers',
  onnx: 'the same for onnxruntime and transformers.js',
  gguf: 'the same for llama.cpp, Ollama and LM Studio',
  'gguf-lora': 'the adapter for llama.cpp',
} as const satisfies Readonly<Record<ExportFormat, string>>;

const dtypes = ['f32', 'f16', 'q8_0', 'base'] as const satisfies readonly ExportDtype[];

/** For the card, which is published: names without folders, since those tell of the machine; a hub's name is public. */
const published = (options: ExportOptions): string => {
  const name = (path: string): string => (path.startsWith('hf:') ? path : basename(resolve(path)));
  const { model, adapter, format, out, dtype } = options;
  return [
    `weft export --model ${name(model)}`,
    ...(adapter === undefined ? [] : [`--adapter ${name(adapter)}`]),
    `--format ${format} --out ${name(out)}`,
    ...(dtype === undefined ? [] : [`--dtype ${dtype}`]),
  ].join(' ');
};

const run = async (options: ExportOptions): Promise<void> => {
  const { model: base, adapter, anyBase, format, out, dtype, sign, cache, json } = options;
  // before anything is written: a key that is none
  const identity = sign === undefined ? undefined : await readOrganisation(sign);
  const { exportAdapter, openModel } = await import('@weft/trainer');
  const signal = onInterrupt('stopping, without writing anything');
  const progress = createProgress();
  const onProgress = byteBars(progress);
  const model = await openModel(base, { cacheDir: cache, signal, onProgress });
  const { adapterBase, ...exported } = await exportAdapter({
    model,
    adapter,
    anyBase,
    format,
    out,
    dtype,
    command: published(options),
    signal,
    onProgress,
  });
  progress.close();
  const signature = identity && (await signModelAt(exported.path, identity));
  if (adapter !== undefined && adapterBase !== undefined) sayWhichBase(adapter, model, adapterBase);
  process.stdout.write(json ? `${JSON.stringify({ format, ...exported, signature })}\n` : `${exported.path}\n`);
};

export const command: CommandModule = {
  examples: [
    'weft export --model models/weft-tiny-llama --adapter adapter --format safetensors --out merged',
    'weft export --model SmolLM2-135M-Instruct.Q4_1.gguf --adapter adapter --format gguf-lora --out adapter.gguf',
  ],
  configure: (command: Command): void => {
    const described = Object.entries(formats).map(([name, meaning]) => `${name}: ${meaning}`);
    command
      .requiredOption('--model <path>', `the base model: ${modelWords}`)
      .option('--adapter <dir>', 'an adapter in the layout of PEFT; without it the base alone is written, as it is')
      .option(...anyBaseOption)
      .addOption(
        new Option('--format <name>', described.join('; ')).choices(Object.keys(formats)).makeOptionMandatory(),
      )
      .requiredOption(
        '--out <path>',
        'a folder, or for gguf and gguf-lora a file named .gguf, beside which its card goes; nothing may stand there yet',
      )
      .addOption(
        new Option(
          '--dtype <type>',
          "of merged weights: f32 (default), f16 for onnx and gguf, q8_0 for gguf, or base for safetensors, the base's own",
        ).choices(dtypes),
      )
      .option(
        '--sign <file>',
        'an Ed25519 key as `weft org create` writes it: a signed statement goes beside the files, model.sig or FILE.sig',
      )
      .option('--cache <dir>', cacheWords)
      .option('--json', '{"format","path","baseSha256","adapterSha256","signature"} on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<ExportOptions>()));
  },
};

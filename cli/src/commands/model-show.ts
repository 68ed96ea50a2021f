import process from 'node:process';
import type { Command } from 'commander';
import type { CommandModule } from '../command.ts';
import { onInterrupt } from '../interrupt.ts';
import { cacheWords, modelWords } from '../model-options.ts';

interface ModelShowOptions {
  readonly cache?: string;
  readonly json?: true;
}

const run = async (path: string, { cache, json }: ModelShowOptions): Promise<void> => {
  const { defaultCacheDir, findPulled, isHubReference, openModel } = await import('@weft/trainer');
  const signal = onInterrupt('stopping');
  const model = await openModel(path, { cacheDir: cache, signal });
  const pulled = isHubReference(path) ? await findPulled(path, cache ?? defaultCacheDir()) : undefined;
  const tensors = [...model.tensors.values()];
  const shown = {
    name: model.name,
    sha256: model.sha256,
    ...(pulled && { commit: pulled.commit, revisions: pulled.revisions, path: pulled.path }),
    parameters: tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0),
    dtypes: [...new Set(tensors.map(({ dtype }) => dtype))],
    ...model.config,
  };
  const text = (value: unknown): string =>
    Array.isArray(value) ? value.join(',') : typeof value === 'string' ? value : JSON.stringify(value);
  const lines = Object.entries(shown).map(([key, value]) => `${key.padEnd(20)}${text(value)}\n`);
  process.stdout.write(json ? `${JSON.stringify(shown)}\n` : lines.join(''));
};

export const command: CommandModule = {
  examples: ['weft model show models/weft-tiny-llama', 'weft model show hf:HuggingFaceTB/SmolLM2-135M-Instruct --json'],
  configure: (command: Command): void => {
    command
      .argument('<path>', modelWords)
      .option('--cache <dir>', cacheWords)
      .option('--json', 'one JSON object on standard output')
      .action((path: string, _options: unknown, command: Command) => run(path, command.opts<ModelShowOptions>()));
  },
};

import process from 'node:process';
import type { Command } from 'commander';
import type { CommandModule } from '../command.ts';
import {
  addGenerationOptions,
  continueText,
  type GenerationOptions,
  openDecoder,
  summaryOf,
} from '../generation-options.ts';
import { onInterrupt } from '../interrupt.ts';

interface GenerateOptions extends GenerationOptions {
  readonly prompt: string;
  readonly json?: true;
}

const run = async (options: GenerateOptions): Promise<void> => {
  const signal = onInterrupt('stopping');
  const opened = await openDecoder(options, signal);
  await using _decoder = opened.decoder;
  const promptIds = opened.model.tokenizer.encode(options.prompt);
  const continuation = await continueText(opened, promptIds, options, signal, (piece) => {
    if (!options.json) process.stdout.write(piece);
  });
  process.stdout.write(options.json ? `${JSON.stringify(continuation)}\n` : '\n');
  if (!options.json) process.stderr.write(`${summaryOf(continuation)}\n`);
};

export const command: CommandModule = {
  examples: [
    'weft generate --model models/weft-tiny-llama --prompt "The river"',
    'weft generate --model models/weft-tiny-llama --adapter adapter --prompt "The river" --temperature 0.8 --top-p 0.9 --seed 1',
  ],
  configure: (command: Command): void => {
    addGenerationOptions(command)
      .requiredOption('--prompt <text>', 'what the model continues, as it stands')
      .option('--json', '{"text","promptTokens","tokens","ending","tokensPerSecond","weights"} on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<GenerateOptions>()));
  },
};

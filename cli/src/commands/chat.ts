import process from 'node:process';
import { createInterface } from 'node:readline';
import { text as readAll } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { ChatMessage } from '@weft/trainer';
import type { CommandModule } from '../command.ts';
import {
  addGenerationOptions,
  continueText,
  type GenerationOptions,
  openDecoder,
  summaryOf,
} from '../generation-options.ts';
import { onInterrupt } from '../interrupt.ts';

interface ChatOptions extends GenerationOptions {
  readonly system?: string;
}

const run = async (options: ChatOptions): Promise<void> => {
  const signal = onInterrupt('stopping');
  const opened = await openDecoder(options, signal);
  await using _decoder = opened.decoder;
  const { tokenizer } = opened.model;
  const messages: ChatMessage[] = options.system === undefined ? [] : [{ role: 'system', content: options.system }];

  const answer = async (question: string, turnSignal: AbortSignal): Promise<void> => {
    const asked = [...messages, { role: 'user', content: question }];
    const promptIds = tokenizer.encode(tokenizer.renderChat(asked, { addGenerationPrompt: true }));
    const made = await continueText(opened, promptIds, options, turnSignal, (piece) => process.stdout.write(piece));
    const { text } = made;
    process.stdout.write('\n');
    process.stderr.write(`${summaryOf(made)}\n`);
    messages.splice(0, messages.length, ...asked, { role: 'assistant', content: text });
  };

  // Refused before anybody has typed: a model without a template cannot chat.
  tokenizer.renderChat([...messages, { role: 'user', content: '' }], { addGenerationPrompt: true });
  if (process.stdin.isTTY) await converse(answer);
  else await answer((await readAll(process.stdin)).trim(), signal);
};

/** One line, one answer, until the end of the input. Ctrl-C ends an answer, or the conversation while none is given. */
const converse = async (answer: (question: string, signal: AbortSignal) => Promise<void>): Promise<void> => {
  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: '> ' });
  let turn: AbortController | undefined;
  lines.on('SIGINT', () => (turn ? turn.abort() : lines.close()));
  lines.prompt();
  for await (const line of lines) {
    if (line.trim() !== '') {
      turn = new AbortController();
      try {
        await answer(line, turn.signal);
      } catch (error) {
        if (!turn.signal.aborted) throw error;
        process.stdout.write('\n');
      }
      turn = undefined;
    }
    lines.prompt();
  }
  process.stderr.write('\n');
};

export const command: CommandModule = {
  examples: [
    'weft chat --model SmolLM2-135M-Instruct.Q4_1.gguf',
    'echo "What is a loom?" | weft chat --model SmolLM2-135M-Instruct.Q4_1.gguf --system "Answer in one sentence."',
  ],
  configure: (command: Command): void => {
    addGenerationOptions(command)
      .option('--system <text>', 'what the model is told before the conversation')
      .action((_options: unknown, command: Command) => run(command.opts<ChatOptions>()));
  },
};

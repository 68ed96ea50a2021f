import process from 'node:process';
import type { Command } from 'commander';
import { organisationFingerprint } from '@weft/shared';
import type { CommandModule } from '../command.ts';
import { addNodeHome } from '../node-home.ts';

const run = async (file: string, { home }: { readonly home: string }): Promise<void> => {
  const { trustModel } = await import('@weft/node-agent');
  const { sha256, publisher } = await trustModel(home, file);
  process.stderr.write(
    `the base model ${sha256} is signed by the publisher ${organisationFingerprint(Buffer.from(publisher, 'hex'))}, which the policy lists: it may be trained from the next \`weft node start\` on\n`,
  );
};

export const command: CommandModule = {
  examples: [
    'weft node policy trust-model weft-tiny-llama.statement',
    'weft node policy trust-model weft-tiny-llama.statement --home /srv/weft',
  ],
  configure: (command: Command): void => {
    addNodeHome(command)
      .argument('<file>', "a publisher's statement about a base model, as `weft org sign-model` prints it")
      .action((file: string, _options: unknown, command: Command) => run(file, command.opts<{ home: string }>()));
  },
};

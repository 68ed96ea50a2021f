import process from 'node:process';
import type { Command } from 'commander';
import type { CommandModule } from '../command.ts';
import { addNodeHome } from '../node-home.ts';

const run = async ({ home, json }: { readonly home: string; readonly json?: true }): Promise<void> => {
  const { nodeKey } = await import('@weft/node-agent');
  const publicKey = Buffer.from(await nodeKey(home)).toString('hex');
  process.stdout.write(json ? `${JSON.stringify({ publicKey })}\n` : `${publicKey}\n`);
};

export const command: CommandModule = {
  examples: ['weft node key', 'weft node key --home /srv/weft --json'],
  configure: (command: Command): void => {
    addNodeHome(command)
      .option('--json', '{"publicKey"} on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<{ home: string; json?: true }>()));
  },
};

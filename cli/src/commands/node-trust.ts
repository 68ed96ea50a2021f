import process from 'node:process';
import type { Command } from 'commander';
import type { CommandModule } from '../command.ts';
import { addNodeHome } from '../node-home.ts';

const run = async (file: string, { home }: { readonly home: string }): Promise<void> => {
  const { trustRenewal } = await import('@weft/node-agent');
  const { federationName, certificates } = await trustRenewal(home, file);
  process.stderr.write(
    `the key that the invite pinned signed this certificate for ${federationName}; ${certificates.length} are accepted now\n`,
  );
};

export const command: CommandModule = {
  examples: ['weft node trust certificate-renewal.weft', 'weft node trust certificate-renewal.weft --home /srv/weft'],
  configure: (command: Command): void => {
    addNodeHome(command)
      .argument(
        '<file>',
        "the coordinator's renewed certificate, signed with its key; for a node that was away while the others heard of it",
      )
      .action((file: string, _options: unknown, command: Command) => run(file, command.opts<{ home: string }>()));
  },
};

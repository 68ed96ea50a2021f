import process from 'node:process';
import type { Command } from 'commander';
import type { CommandModule } from '../command.ts';
import { publicPartOf, readOrganisation } from '../organisation-key.ts';

const run = async ({ key, json }: { readonly key: string; readonly json?: true }): Promise<void> => {
  const { publicKey, fingerprint } = publicPartOf(await readOrganisation(key));
  process.stdout.write(json ? `${JSON.stringify({ publicKey, fingerprint })}\n` : `${publicKey}\n`);
  if (!json) process.stderr.write(`fingerprint ${fingerprint}\n`);
};

export const command: CommandModule = {
  examples: ['weft org key --key org.key', 'weft org key --key org.key --json'],
  configure: (command: Command): void => {
    command
      .requiredOption('--key <file>', 'the secret key, of `weft org create`')
      .option('--json', '{"publicKey","fingerprint"} on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<{ key: string; json?: true }>()));
  },
};

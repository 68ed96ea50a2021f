import process from 'node:process';
import type { Command } from 'commander';
import type { CommandModule } from '../command.ts';
import { publicPartOf, writeOrganisation } from '../organisation-key.ts';

const run = async ({ out, json }: { readonly out: string; readonly json?: true }): Promise<void> => {
  const { publicKey, fingerprint } = publicPartOf(await writeOrganisation(out));
  process.stdout.write(json ? `${JSON.stringify({ publicKey, fingerprint })}\n` : `${publicKey}\n`);
  if (!json)
    process.stderr.write(
      `This is the public key, fingerprint ${fingerprint}: operators list it in trustedOrganisations of their policies. ` +
        `${out} is the secret one: keep it where only your organisation's security officer reads it, and a copy in a safe place. ` +
        `\`weft org key --key ${out}\` prints the public one again.\n`,
    );
};

export const command: CommandModule = {
  examples: ['weft org create --out org.key', 'weft org create --out org.key --json'],
  configure: (command: Command): void => {
    command
      .requiredOption('--out <file>', 'where the secret key goes (mode 0600); nothing may stand there yet')
      .option('--json', '{"publicKey","fingerprint"} on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<{ out: string; json?: true }>()));
  },
};

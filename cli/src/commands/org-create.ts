import { writeFile } from 'node:fs/promises';
import process from 'node:process';
import type { Command } from 'commander';
import { createIdentity, organisationFingerprint, WeftError } from '@weft/shared';
import type { CommandModule } from '../command.ts';

const run = async ({ out, json }: { readonly out: string; readonly json?: true }): Promise<void> => {
  const { identity, seed } = createIdentity();
  const publicKey = Buffer.from(identity.publicKey).toString('hex');
  try {
    await writeFile(out, `${Buffer.from(seed).toString('hex')}\n`, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    throw new WeftError('WEFT_EXPORT_PATH_TAKEN', `${out} exists`, {}, { cause });
  }
  const fingerprint = organisationFingerprint(identity.publicKey);
  process.stdout.write(json ? `${JSON.stringify({ publicKey, fingerprint })}\n` : `${publicKey}\n`);
  if (!json)
    process.stderr.write(
      `fingerprint ${fingerprint}; keep ${out} where only your organisation's security officer reads it\n`,
    );
};

export const command: CommandModule = {
  examples: ['weft org create --out org.key', 'weft org create --out org.key --json'],
  configure: (command: Command): void => {
    command
      .requiredOption('--out <file>', 'where the secret key goes (mode 0600); nothing may stand there yet')
      .option('--json', 'one JSON object on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<{ out: string; json?: true }>()));
  },
};

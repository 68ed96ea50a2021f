import { resolve } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import { privacyNotice } from '@weft/shared';
import type { CommandModule } from '../command.ts';
import { addHomeOption, type HomeOption } from '../coordinator-home.ts';

interface InitOptions extends HomeOption {
  readonly name?: string;
  readonly advertise?: string;
  readonly json?: true;
}

const run = async (options: InitOptions): Promise<void> => {
  const { initCoordinator } = await import('@weft/coordinator');
  const { name, advertise } = options;
  const home = resolve(options.home);
  const passwordFile = process.env['WEFT_ADMIN_PASSWORD_FILE'];
  const { federationId, password } = await initCoordinator(home, {
    config: { ...(name !== undefined && { name }), ...(advertise !== undefined && { advertise }) },
    ...(passwordFile !== undefined && { passwordFile }),
  });
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ home, federationId, ...(password !== undefined && { password }) })}\n`);
    return;
  }
  process.stdout.write(`federation  ${federationId}\nhome        ${home}\n`);
  if (password !== undefined) process.stdout.write(`password    ${password}\n`);
  process.stderr.write(
    password === undefined
      ? 'The password for the admin page is the one in WEFT_ADMIN_PASSWORD_FILE.\n'
      : 'The password opens the admin page. It is shown this once; only its hash is kept.\n',
  );
  process.stderr.write(`${privacyNotice}\n`);
};

export const command: CommandModule = {
  examples: [
    'weft coordinator init',
    'weft coordinator init --home /srv/weft --name libraries --advertise weft.example.org:7443',
  ],
  configure: (command: Command): void => {
    addHomeOption(command)
      .option('--name <name>', 'of the federation, for operators to see')
      .option('--advertise <host:port>', 'where nodes reach this coordinator; what invites carry')
      .option('--json', '{"home","federationId","password"} on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<InitOptions>()));
  },
};

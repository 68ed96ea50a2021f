import { once } from 'node:events';
import process from 'node:process';
import type { Command } from 'commander';
import { privacyNotice } from '@weft/shared';
import type { CommandModule } from '../command.ts';
import { addHomeOption, type HomeOption } from '../coordinator-home.ts';
import { onInterrupt } from '../interrupt.ts';
import { wholeNumber } from '../option-values.ts';

interface StartOptions extends HomeOption {
  readonly grpcHost?: string;
  readonly grpcPort?: number;
  readonly httpHost?: string;
  readonly httpPort?: number;
  readonly advertise?: string;
  readonly json?: true;
}

const run = async ({ json, ...options }: StartOptions): Promise<void> => {
  const { startCoordinator } = await import('@weft/coordinator');
  const signal = onInterrupt('telling the nodes and ending transfers');
  const coordinator = await startCoordinator({ ...options, env: process.env });
  const { grpcAddress, advertised, httpUrl, protection } = coordinator;
  if (json) process.stdout.write(`${JSON.stringify({ grpcAddress, advertised, httpUrl })}\n`);
  else {
    process.stdout.write(
      `nodes       ${grpcAddress}${advertised === grpcAddress ? '' : `, in invites ${advertised}`}\nadmin page  ${httpUrl}\n`,
    );
    process.stderr.write(`${privacyNotice}\n${protection}\n`);
  }
  if (!signal.aborted) await once(signal, 'abort');
  await coordinator.close();
};

const port = wholeNumber(0, 65_535);

export const command: CommandModule = {
  examples: [
    'weft coordinator start',
    'weft coordinator start --home /srv/weft --grpc-host 0.0.0.0 --grpc-port 7443 --advertise weft.example.org:7443',
  ],
  configure: (command: Command): void => {
    addHomeOption(command)
      .option('--grpc-host <address>', 'where nodes are served (default: 127.0.0.1)')
      .option('--grpc-port <n>', 'of the same; 0 for any free port (default: 7443)', port)
      .option('--http-host <address>', 'where the admin page is served (default: 127.0.0.1)')
      .option('--http-port <n>', 'of the same; 0 for any free port (default: 7480)', port)
      .option('--advertise <host:port>', 'where nodes reach this coordinator; what invites carry')
      .option('--json', '{"grpcAddress","advertised","httpUrl"} on standard output, once it serves')
      .addHelpText(
        'after',
        '\nDefaults are also taken from config.yaml in the home and from WEFT_GRPC_PORT and its like. Log lines go to standard error.',
      )
      .action((_options: unknown, command: Command) => run(command.opts<StartOptions>()));
  },
};

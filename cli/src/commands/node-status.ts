import process from 'node:process';
import type { Command } from 'commander';
import type { CommandModule } from '../command.ts';
import { addNodeHome } from '../node-home.ts';

interface NodeStatusOptions {
  readonly home: string;
  readonly json?: true;
}

const run = async ({ home, json }: NodeStatusOptions): Promise<void> => {
  const { readStatus } = await import('@weft/node-agent');
  const status = await readStatus(home);
  if (json) {
    process.stdout.write(`${JSON.stringify(status)}\n`);
    return;
  }
  const { lastSent, ...facts } = status;
  const rows = [
    ['federation', `${facts.federationName} (${facts.federationId})`],
    ['node', `${facts.nodeName} (${facts.nodeId})`],
    ['coordinator', facts.address],
    ['agent', facts.pid === null ? 'not running' : `running as process ${facts.pid}`],
    ['updates sent', `${facts.updatesSent}, ${facts.bytesSent} bytes`],
  ] as const;
  process.stdout.write(rows.map(([name, value]) => `${name.padEnd(14)}${value}\n`).join(''));
  if (lastSent.length > 0)
    process.stdout.write(
      `\nLast sent (all of it: weft node history):\n${lastSent.map(({ at, said }) => `  ${at}  ${said}\n`).join('')}`,
    );
};

export const command: CommandModule = {
  examples: ['weft node status', 'weft node status --home /srv/weft --json'],
  configure: (command: Command): void => {
    addNodeHome(command)
      .option('--json', 'one JSON object on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<NodeStatusOptions>()));
  },
};

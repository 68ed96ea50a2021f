import process from 'node:process';
import type { Command } from 'commander';
import type { CommandModule } from '../command.ts';
import { addNodeHome } from '../node-home.ts';

interface NodeHistoryOptions {
  readonly home: string;
  readonly json?: true;
}

const run = async ({ home, json }: NodeHistoryOptions): Promise<void> => {
  const { readFederation, readSent } = await import('@weft/node-agent');
  await readFederation(home);
  for (const sent of await readSent(home)) {
    process.stdout.write(json ? `${JSON.stringify(sent)}\n` : `${sent.at}  ${sent.said}\n${hashLines(sent)}`);
  }
};

const hashLines = (sent: object): string =>
  Object.entries(sent)
    .filter(([name]) => name.endsWith('Sha256'))
    .map(([name, hash]) => `    ${name.padEnd(24)}${String(hash)}\n`)
    .join('');

export const command: CommandModule = {
  examples: ['weft node history', 'weft node history --json | jq "select(.kind == \\"update\\")"'],
  configure: (command: Command): void => {
    addNodeHome(command)
      .option('--json', 'one JSON line for each thing that was sent')
      .action((_options: unknown, command: Command) => run(command.opts<NodeHistoryOptions>()));
  },
};

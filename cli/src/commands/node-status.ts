import process from 'node:process';
import type { Command } from 'commander';
import type { RoundStatus } from '@weft/node-agent';
import type { CommandModule } from '../command.ts';
import { addNodeHome } from '../node-home.ts';

interface NodeStatusOptions {
  readonly home: string;
  readonly json?: true;
}

const shownRounds = 20;

const roundWords = ({ runName, round, mode, colluders, survivors, members }: RoundStatus): string => {
  const name = `round ${round + 1} of "${runName}": `;
  if (mode === 'plain') return `${name}plain, the coordinator could read the update`;
  if (colluders === null) return `${name}masked, and no sum was agreed on`;
  return `${name}${survivors} of ${members} members survived, withstood ${colluders} colluding with the coordinator`;
};

const run = async ({ home, json }: NodeStatusOptions): Promise<void> => {
  const { readStatus } = await import('@weft/node-agent');
  const status = await readStatus(home);
  if (json) {
    process.stdout.write(`${JSON.stringify(status)}\n`);
    return;
  }
  const { lastSent, rounds, ...facts } = status;
  const rows = [
    ['federation', `${facts.federationName} (${facts.federationId})`],
    ['node', `${facts.nodeName} (${facts.nodeId})`],
    ['coordinator', facts.address],
    ['agent', facts.pid === null ? 'not running' : `running as process ${facts.pid}`],
    ['updates sent', `${facts.updatesSent}, ${facts.bytesSent} bytes`],
  ] as const;
  process.stdout.write(rows.map(([name, value]) => `${name.padEnd(14)}${value}\n`).join(''));
  if (rounds.length > 0)
    process.stdout.write(
      `\nRounds${rounds.length > shownRounds ? ` (the last ${shownRounds} of ${rounds.length}; all with --json)` : ''}:\n` +
        rounds
          .slice(-shownRounds)
          .map((round) => `  ${roundWords(round)}\n`)
          .join('') +
        'Members count as trustedOrganisations of the policy says: see `weft node policy show`.\n',
    );
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

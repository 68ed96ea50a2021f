import process from 'node:process';
import type { Command } from 'commander';
import { privacy } from '@weft/shared';
import type { CommandModule } from '../command.ts';
import { addNodeHome } from '../node-home.ts';
import { delta } from './privacy-epsilon.ts';

interface NodeLedgerOptions {
  readonly home: string;
  readonly ledger?: string;
  readonly delta: number;
  readonly json?: true;
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

const run = async ({ home, ledger, delta, json }: NodeLedgerOptions): Promise<void> => {
  const { ledgerIn, readPolicy, readStatements } = await import('@weft/node-agent');
  const place =
    ledger === undefined ? ledgerIn(home, (await readPolicy(home)).policy.privacyLedger) : { folder: ledger };
  const statements = await readStatements(place, delta);
  if (json) {
    process.stdout.write(`${JSON.stringify(statements)}\n`);
    return;
  }
  for (const { dataSet, epsilon, rounds, runs, federations, lastChargeAt } of statements) {
    process.stdout.write(
      `"${dataSet}" has spent ε = ${epsilon.toFixed(3)} at δ = ${delta}: ${counted(rounds, 'round')} with noise in ${counted(runs, 'run')} of ${counted(federations, 'federation')}, the last on ${lastChargeAt}.\n` +
        (privacy.isMeaningless(epsilon)
          ? 'That promises next to nothing any more: what protects this data is secure aggregation only.\n'
          : `Whoever sees everything that came out of these runs can raise his odds that this node's data was in them by a factor of ${Math.exp(epsilon).toPrecision(3)} at most.\n`),
    );
  }
  process.stdout.write(
    statements.length === 0
      ? 'Nothing was charged: no update with noise has left. For runs without noise there is no ε.\n'
      : 'Rounds without noise are not in it: for them there is no ε. What was spent stays spent.\n',
  );
};

export const command: CommandModule = {
  examples: ['weft node ledger', 'weft node ledger --home /srv/weft --delta 1e-6 --json'],
  configure: (command: Command): void => {
    addNodeHome(command)
      .option('--ledger <dir>', 'where the ledger lies, if not where the policy says')
      .option('--delta <number>', 'δ', delta, 1e-5)
      .option('--json', 'one JSON array on standard output, an object for each data set')
      .action((_options: unknown, command: Command) => run(command.opts<NodeLedgerOptions>()));
  },
};

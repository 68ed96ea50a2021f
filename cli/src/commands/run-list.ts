import process from 'node:process';
import type { Command } from 'commander';
import { runViewSchema } from '@weft/shared';
import { openAdminClient } from '../admin-client.ts';
import type { CommandModule } from '../command.ts';
import { addHomeOption } from '../coordinator-home.ts';
import type { RunOptions } from '../run-order.ts';
import { formatTable, formatTime } from '../table.ts';

const run = async (options: RunOptions): Promise<void> => {
  const runs = await (await openAdminClient(options)).get('/api/runs', runViewSchema.array());
  if (options.json) process.stdout.write(`${JSON.stringify(runs)}\n`);
  else if (runs.length === 0)
    process.stderr.write('There is no run yet; `weft run create SPEC --model PATH` makes one.\n');
  else {
    const rows = runs.map(({ id, name, state, phase, roundsCommitted, rounds, createdAt }) => [
      id,
      name,
      state,
      phase,
      `${roundsCommitted} of ${rounds}`,
      formatTime(createdAt),
    ]);
    process.stdout.write(formatTable(['RUN', 'NAME', 'STATE', 'PHASE', 'ROUNDS DONE', 'CREATED'], rows));
  }
};

export const command: CommandModule = {
  examples: ['weft run list', 'weft run list --home /srv/weft --json'],
  configure: (command: Command): void => {
    addHomeOption(command)
      .option('--json', 'an array of runs on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<RunOptions>()));
  },
};

import type { Command } from 'commander';
import { WeftError } from '@weft/shared';
import { openAdminClient } from '../admin-client.ts';
import type { CommandModule } from '../command.ts';
import { addHomeOption } from '../coordinator-home.ts';
import { onInterrupt } from '../interrupt.ts';
import { findRun, runArgument, type RunOptions } from '../run-order.ts';

const run = async (word: string, { home, json }: RunOptions): Promise<void> => {
  const { watchRun } = await import('../watch-run.ts');
  const { id } = await findRun(await openAdminClient({ home }), word);
  const last = await watchRun({
    home,
    runId: id,
    json: json === true,
    signal: onInterrupt('leaving the run to itself'),
  });
  if (last !== undefined && last.kind !== 'run.finished') {
    throw new WeftError('WEFT_RUN_NOT_FINISHED', `the run was ${last.kind.slice('run.'.length)}`, { runId: id });
  }
};

export const command: CommandModule = {
  examples: ['weft run watch languages', 'weft run watch r_1f00 --json'],
  configure: (command: Command): void => {
    addHomeOption(command)
      .argument(...runArgument)
      .option('--json', 'a JSON line for each event and each piece of news on standard output')
      .addHelpText(
        'after',
        '\nEnds when the run has; with exit code 4 where it was stopped or aborted. Ctrl-C leaves the run to itself.',
      )
      .action((word: string, _options: unknown, command: Command) => run(word, command.opts<RunOptions>()));
  },
};

import process from 'node:process';
import type { Command } from 'commander';
import { runViewSchema, type RunView } from '@weft/shared';
import { openAdminClient, type AdminClient } from './admin-client.ts';
import type { CommandModule } from './command.ts';
import { addHomeOption, type HomeOption } from './coordinator-home.ts';
import { findNamed } from './named.ts';

interface Order {
  readonly order: 'start' | 'pause' | 'resume' | 'stop';
  readonly examples: CommandModule['examples'];
}

export interface RunOptions extends HomeOption {
  readonly json?: true;
}

export const runArgument = ['<run>', 'its id, the beginning of it, or its name'] as const;

/** @throws WEFT_RUN_UNKNOWN */
export const findRun = async (client: AdminClient, word: string): Promise<RunView> =>
  findNamed(await client.get('/api/runs', runViewSchema.array()), word, 'WEFT_RUN_UNKNOWN');

/** What an admin tells a run: `weft run start|pause|resume|stop RUN`. */
export const orderCommand = ({ order, examples }: Order): CommandModule => ({
  examples,
  configure: (command: Command): void => {
    addHomeOption(command)
      .argument(...runArgument)
      .option('--json', 'the run on standard output')
      .action(async (word: string, _options: unknown, command: Command) => {
        const options = command.opts<RunOptions>();
        const client = await openAdminClient(options);
        const { id } = await findRun(client, word);
        const run = await client.post(`/api/runs/${id}/${order}`, runViewSchema);
        process.stdout.write(options.json ? `${JSON.stringify(run)}\n` : `${run.name} (${run.id}) is ${run.state}\n`);
      });
  },
});

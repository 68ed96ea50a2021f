import process from 'node:process';
import type { Command } from 'commander';
import { runDetailViewSchema, runViewSchema, WeftError, type VersionView } from '@weft/shared';
import { openAdminClient } from '../admin-client.ts';
import type { CommandModule } from '../command.ts';
import { addHomeOption } from '../coordinator-home.ts';
import { findRun, runArgument, type RunOptions } from '../run-order.ts';

interface RollbackOptions extends RunOptions {
  readonly to: string;
  readonly reason?: string;
}

/** The whole hash, or the beginning of just one. @throws WEFT_RUN_VERSION_UNKNOWN */
const findVersion = (versions: readonly VersionView[], word: string): string => {
  const found = new Set(versions.map(({ adapterSha256 }) => adapterSha256).filter((hash) => hash.startsWith(word)));
  const [only] = found;
  if (only !== undefined && found.size === 1) return only;
  throw new WeftError(
    'WEFT_RUN_VERSION_UNKNOWN',
    `${JSON.stringify(word)} begins the hash of ${found.size} of the run's ${versions.length} versions`,
  );
};

const run = async (word: string, options: RollbackOptions): Promise<void> => {
  const client = await openAdminClient(options);
  const { id } = await findRun(client, word);
  const { versions } = await client.get(`/api/runs/${id}`, runDetailViewSchema);
  const { reason } = options;
  const body = { to: findVersion(versions, options.to), ...(reason !== undefined && { reason }) };
  const view = await client.post(`/api/runs/${id}/rollback`, runViewSchema, body);
  process.stdout.write(
    options.json
      ? `${JSON.stringify(view)}\n`
      : `${view.name} (${view.id}) is at ${view.adapterSha256}, after ${view.roundsCommitted} of ${view.rounds} rounds\n`,
  );
};

export const command: CommandModule = {
  examples: [
    'weft run rollback languages --to 0f3a9c11',
    'weft run rollback r_1f00 --to 0f3a9c11 --reason "the gate’s file was too easy" --json',
  ],
  configure: (command: Command): void => {
    addHomeOption(command)
      .argument(...runArgument)
      .requiredOption(
        '--to <sha256>',
        'an adapter that the run made, or the beginning of its hash, as `run show` lists them',
      )
      .option('--reason <text>', 'kept beside it; it stays at the coordinator')
      .option('--json', 'the run on standard output')
      .addHelpText(
        'after',
        '\nA run that is paused, between two rounds or at its end goes back. It trains on, and exports, from there; the log says so.',
      )
      .action((word: string, _options: unknown, command: Command) => run(word, command.opts<RollbackOptions>()));
  },
};

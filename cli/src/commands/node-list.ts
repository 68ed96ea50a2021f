import process from 'node:process';
import type { Command } from 'commander';
import { dayOf, nodeViewSchema } from '@weft/shared';
import { openAdminClient } from '../admin-client.ts';
import type { CommandModule } from '../command.ts';
import { addHomeOption, type HomeOption } from '../coordinator-home.ts';
import { formatTable, formatTime } from '../table.ts';

interface NodeListOptions extends HomeOption {
  readonly json?: true;
}

const run = async (options: NodeListOptions): Promise<void> => {
  const nodes = await (await openAdminClient(options)).get('/api/nodes', nodeViewSchema.array());
  if (options.json) process.stdout.write(`${JSON.stringify(nodes)}\n`);
  else if (nodes.length === 0) process.stderr.write('No node has enrolled yet; `weft invite create` lets one in.\n');
  else {
    const rows = nodes.map(({ id, name, organisation, vouchedBy, vouchedUntil, state, connected, lastSeenAt }) => [
      id,
      name,
      organisation,
      vouchedBy,
      vouchedUntil === null ? null : dayOf(vouchedUntil / 1000),
      state,
      connected ? 'connected' : 'away',
      formatTime(lastSeenAt),
    ]);
    process.stdout.write(
      formatTable(['NODE', 'NAME', 'ORGANISATION', 'VOUCHED FOR BY', 'UNTIL', 'STATE', 'SESSION', 'LAST SEEN'], rows),
    );
  }
};

export const command: CommandModule = {
  examples: ['weft node list', 'weft node list --home /srv/weft --json'],
  configure: (command: Command): void => {
    addHomeOption(command)
      .option('--json', 'an array of nodes on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<NodeListOptions>()));
  },
};

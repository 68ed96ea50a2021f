import process from 'node:process';
import type { Command } from 'commander';
import { inviteViewSchema, parseInvite, toFederationId } from '@weft/shared';
import { openAdminClient } from '../admin-client.ts';
import type { CommandModule } from '../command.ts';
import { addHomeOption, type HomeOption } from '../coordinator-home.ts';
import { nonNegative } from '../option-values.ts';

interface InviteOptions extends HomeOption {
  readonly autoApprove?: true;
  readonly expiresInHours?: number;
  readonly advertise?: string;
  readonly json?: true;
}

const run = async ({ json, home, ...request }: InviteOptions): Promise<void> => {
  const client = await openAdminClient({ home });
  const view = await client.post('/api/invites', inviteViewSchema, request);
  if (json) {
    process.stdout.write(`${JSON.stringify(view)}\n`);
    return;
  }
  process.stdout.write(`${view.invite}\n`);
  process.stderr.write(
    `It lets one node in${view.autoApprove ? ' without your approval' : ', once you approve it'}, until ${new Date(view.expiresAt).toISOString()}. ` +
      'Hand it over where nobody else reads it; the operator runs `weft node join INVITE`.\n' +
      `An organisation that signs for the node names the federation: \`weft org endorse --federation ${toFederationId(parseInvite(view.invite).coordinatorKey)} NODE-KEY\`.\n`,
  );
};

export const command: CommandModule = {
  examples: ['weft invite create', 'weft invite create --auto-approve --expires-in-hours 2'],
  configure: (command: Command): void => {
    addHomeOption(command)
      .option('--auto-approve', 'the node takes part without waiting for the admin')
      .option('--expires-in-hours <n>', 'how long it may be used (default: 24)', nonNegative({ positive: true }))
      .option('--advertise <host:port>', 'the address it carries, where that is another than usual')
      .option('--json', '{"invite","expiresAt","autoApprove"} on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<InviteOptions>()));
  },
};

import process from 'node:process';
import type { Command } from 'commander';
import { nodeViewSchema } from '@weft/shared';
import { openAdminClient } from './admin-client.ts';
import type { CommandModule } from './command.ts';
import { addHomeOption, type HomeOption } from './coordinator-home.ts';
import { findNamed } from './named.ts';

interface Decision {
  readonly order: 'approve' | 'revoke';
  readonly examples: CommandModule['examples'];
  readonly done: string;
}

interface DecisionOptions extends HomeOption {
  readonly json?: true;
}

/** What an admin decides on a node: `weft node approve|revoke NODE`. */
export const decisionCommand = ({ order, examples, done }: Decision): CommandModule => ({
  examples,
  configure: (command: Command): void => {
    addHomeOption(command)
      .argument('<node>', 'its id, the beginning of it, or its name')
      .option('--json', 'the node on standard output')
      .action(async (word: string, _options: unknown, command: Command) => {
        const options = command.opts<DecisionOptions>();
        const client = await openAdminClient(options);
        const { id } = findNamed(await client.get('/api/nodes', nodeViewSchema.array()), word, 'WEFT_NODE_UNKNOWN');
        const node = await client.post(`/api/nodes/${id}/${order}`, nodeViewSchema);
        process.stdout.write(options.json ? `${JSON.stringify(node)}\n` : `${node.name} (${node.id}) ${done}\n`);
      });
  },
});

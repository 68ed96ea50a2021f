import process from 'node:process';
import type { Command } from 'commander';
import type { CommandModule } from '../command.ts';
import { addNodeHome } from '../node-home.ts';

const run = async (runId: string, { home }: { readonly home: string }): Promise<void> => {
  const { approveRun } = await import('@weft/node-agent');
  const { runName, specSha256 } = await approveRun(home, runId);
  process.stderr.write(
    `"${runName}" is approved with the spec ${specSha256}: this node takes part from its next round on\n`,
  );
};

export const command: CommandModule = {
  examples: [
    'weft node policy approve r_1f0053a1c2d34e5f60718293a4b5c6d7',
    'weft node policy approve r_1f0053a1c2d34e5f60718293a4b5c6d7 --home /srv/weft',
  ],
  configure: (command: Command): void => {
    addNodeHome(command)
      .argument('<run>', 'id of a run that waits, as `weft node policy show` lists it')
      .action((runId: string, _options: unknown, command: Command) => run(runId, command.opts<{ home: string }>()));
  },
};

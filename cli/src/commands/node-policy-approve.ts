import process from 'node:process';
import type { Command } from 'commander';
import type { CommandModule } from '../command.ts';
import { findNamed } from '../named.ts';
import { addNodeHome } from '../node-home.ts';

const run = async (word: string, { home }: { readonly home: string }): Promise<void> => {
  const { approveRun, readWaiting, runInWords } = await import('@weft/node-agent');
  const waiting = (await readWaiting(home)).map(({ runId, runName }) => ({ id: runId, name: runName }));
  const { id } = findNamed(waiting, word, 'WEFT_RUN_NOT_WAITING');
  const { runName, spec, specSha256 } = await approveRun(home, id);
  process.stderr.write(
    `"${runName}" (${id}) is approved, and nothing else that it may turn into: ${runInWords(spec)}; spec ${specSha256}. This node takes part from its next round on.\n`,
  );
};

export const command: CommandModule = {
  examples: [
    'weft node policy approve first-run',
    'weft node policy approve r_1f0053a1c2d34e5f60718293a4b5c6d7 --home /srv/weft',
  ],
  configure: (command: Command): void => {
    addNodeHome(command)
      .argument(
        '<run>',
        'a run that waits, as `weft node policy show` lists it: its id, the beginning of it, or its name',
      )
      .action((word: string, _options: unknown, command: Command) => run(word, command.opts<{ home: string }>()));
  },
};

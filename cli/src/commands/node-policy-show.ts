import process from 'node:process';
import type { Command } from 'commander';
import type { CommandModule } from '../command.ts';
import { addNodeHome } from '../node-home.ts';
import { wrapped } from '../wrapped.ts';

interface ShowOptions {
  readonly home: string;
  readonly json?: true;
}

const run = async ({ home, json }: ShowOptions): Promise<void> => {
  const { policyInWords, readPolicy, readPublished, readWaiting, runInWords } = await import('@weft/node-agent');
  const { policy, path, isWritten } = await readPolicy(home);
  const runs = await readWaiting(home);
  const published = await readPublished(home, policy);
  if (json) {
    process.stdout.write(`${JSON.stringify({ path, isWritten, policy, published, runs })}\n`);
    return;
  }
  const sentences = policyInWords(policy);
  const width = Math.max(...sentences.map(({ key }) => key.length)) + 2;
  process.stdout.write(
    sentences.map(({ key, says }) => wrapped(`${key.padEnd(width)}${says}`, process.stdout, width)).join(''),
  );
  for (const { sha256, publisher } of published) process.stdout.write(`base model ${sha256}: signed by ${publisher}\n`);
  for (const { runId, runName, spec, approved } of runs)
    process.stdout.write(
      wrapped(
        `run ${runId} "${runName}" ${approved ? 'is approved' : 'WAITS FOR APPROVAL'}: ${runInWords(spec)}`,
        process.stdout,
        2,
      ),
    );
  process.stderr.write(
    isWritten
      ? `${path} holds from the next \`weft node start\`.\n`
      : `There is no ${path}: these defaults hold. \`weft node policy init\` writes it.\n`,
  );
};

export const command: CommandModule = {
  examples: ['weft node policy show', 'weft node policy show --home /srv/weft --json'],
  configure: (command: Command): void => {
    addNodeHome(command)
      .option('--json', '{"path","isWritten","policy","published","runs"} on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<ShowOptions>()));
  },
};

import process from 'node:process';
import type { Command } from 'commander';
import type { CommandModule } from '../command.ts';
import { addNodeHome } from '../node-home.ts';

interface NodeEvidenceOptions {
  readonly home: string;
  readonly dismiss?: string;
  readonly json?: true;
}

const run = async ({ home, dismiss, json }: NodeEvidenceOptions): Promise<void> => {
  const { dismissDistrust, distrustWords, readDistrust, readFederation } = await import('@weft/node-agent');
  await readFederation(home);
  if (dismiss !== undefined) {
    const { evidence } = await dismissDistrust(home, dismiss);
    process.stderr.write(`This node takes part in rounds of ${dismiss} again; evidence/${evidence} stays.\n`);
    return;
  }
  const found = await readDistrust(home);
  if (json) {
    process.stdout.write(`${JSON.stringify(found)}\n`);
    return;
  }
  for (const distrust of found) {
    const { scope, runId, round, at, evidence } = distrust;
    const stopped = scope === runId ? `No round of ${runId}` : 'No round of any run';
    process.stdout.write(
      `${stopped} is taken part in since ${at}: in round ${round + 1} of ${runId} ${distrustWords(distrust)}.\n` +
        `    ${home}/evidence/${evidence}\n    weft node evidence --dismiss ${scope}\n`,
    );
  }
  if (found.length === 0)
    process.stdout.write(
      'Nothing stops this node: what the coordinator signed, and what it showed of the transparency log, held.\n',
    );
};

export const command: CommandModule = {
  examples: ['weft node evidence', 'weft node evidence --dismiss r_1f0053a1c2d34e5f60718293a4b5c6d7'],
  configure: (command: Command): void => {
    addNodeHome(command)
      .option('--dismiss <scope>', 'take part again in this run, or in `federation`; the evidence stays')
      .option('--json', 'one JSON array on standard output')
      .action((_options: unknown, command: Command) => run(command.opts<NodeEvidenceOptions>()));
  },
};

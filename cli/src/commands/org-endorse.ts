import process from 'node:process';
import type { Command } from 'commander';
import { endorse, endorsementText, isFederationId, WeftError } from '@weft/shared';
import type { CommandModule } from '../command.ts';
import { keyOf, readOrganisation } from '../organisation-key.ts';

interface OrgEndorseOptions {
  readonly key: string;
  readonly federation: string;
  readonly json?: true;
}

const run = async (nodeKey: string, { key, federation, json }: OrgEndorseOptions): Promise<void> => {
  if (!isFederationId(federation))
    throw new WeftError(
      'WEFT_USAGE',
      `${federation} is no federation id: that is f_ and 32 hex digits, as \`weft node join\` and \`weft node status\` print it`,
    );
  const identity = await readOrganisation(key);
  const endorsement = endorsementText(endorse(identity, federation, keyOf(nodeKey, nodeKey)));
  process.stdout.write(json ? `${JSON.stringify({ endorsement })}\n` : `${endorsement}\n`);
};

export const command: CommandModule = {
  examples: [
    'weft org endorse --key org.key --federation f_0f3a… 21fe31df…',
    'weft org endorse --key org.key --federation f_0f3a… "$(weft node key)" > archive.endorsement',
  ],
  configure: (command: Command): void => {
    command
      .argument('<node-key>', "as `weft node key` prints it on the node's machine")
      .requiredOption('--key <file>', "the organisation's secret key, of `weft org create`")
      .requiredOption(
        '--federation <id>',
        'the federation for which the word holds, f_…, as `weft invite create` and `weft node join` print it',
      )
      .option('--json', '{"endorsement"} on standard output')
      .addHelpText(
        'after',
        '\nThe node hands it over with `weft node join INVITE --endorsement @FILE`; that may be its second join.',
      )
      .action((nodeKey: string, _options: unknown, command: Command) =>
        run(nodeKey, command.opts<OrgEndorseOptions>()),
      );
  },
};

import process from 'node:process';
import { InvalidArgumentError, type Command } from 'commander';
import { dayOf, endless, endorse, endorsementText, isFederationId, WeftError } from '@weft/shared';
import type { CommandModule } from '../command.ts';
import { keyOf, readOrganisation } from '../organisation-key.ts';

interface OrgEndorseOptions {
  readonly key: string;
  readonly federation: string;
  readonly until?: number;
  readonly json?: true;
}

const defaultDays = 365;

/** A day, of which it no longer holds, or never. */
function endOf(text: string): number {
  if (text === 'never') return endless;
  const seconds = Date.parse(`${text}T00:00:00Z`) / 1000;
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || Number.isNaN(seconds) || dayOf(seconds) !== text)
    throw new InvalidArgumentError('a day as 2027-12-31, or never');
  if (seconds <= Date.now() / 1000) throw new InvalidArgumentError('that day is over');
  return seconds;
}

const run = async (nodeKey: string, { key, federation, until: chosen, json }: OrgEndorseOptions): Promise<void> => {
  if (!isFederationId(federation))
    throw new WeftError(
      'WEFT_USAGE',
      `${federation} is no federation id: that is f_ and 32 hex digits, as \`weft node join\` and \`weft node status\` print it`,
    );
  const identity = await readOrganisation(key);
  const until = chosen ?? Math.floor(Date.now() / 1000) + defaultDays * 86_400;
  const endorsement = endorsementText(endorse(identity, federation, keyOf(nodeKey, nodeKey), until));
  process.stdout.write(
    json
      ? `${JSON.stringify({ endorsement, until: until === endless ? null : new Date(until * 1000).toISOString() })}\n`
      : `${endorsement}\n`,
  );
  if (!json)
    process.stderr.write(
      until === endless
        ? 'It holds for ever: no one but the coordinator can take it back.\n'
        : `It holds until ${dayOf(until)}. Sign again in time; the node then joins again, with the new text and a new invite.\n`,
    );
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
      .option('--until <day>', `from which day on it no longer holds, or never; without it ${defaultDays} days`, endOf)
      .option('--json', '{"endorsement","until"} on standard output')
      .addHelpText(
        'after',
        '\nThe node hands it over with `weft node join INVITE --endorsement @FILE`; that may be its second join.',
      )
      .action((nodeKey: string, _options: unknown, command: Command) =>
        run(nodeKey, command.opts<OrgEndorseOptions>()),
      );
  },
};

import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { Option, type Command } from 'commander';
import { parseEndorsement, privacyNotice } from '@weft/shared';
import type { CommandModule } from '../command.ts';
import { addNodeHome } from '../node-home.ts';

interface NodeJoinOptions {
  readonly home: string;
  readonly name: string;
  readonly organisation?: string;
  readonly endorsement?: string;
  readonly json?: true;
}

/** An invite holds a token: as an argument it stays in the shell's history, from a file or a pipe it does not. */
const readInvite = (argument: string): Promise<string> | string => {
  if (argument === '-') return text(process.stdin);
  return argument.startsWith('@') ? readFile(argument.slice(1), 'utf8') : argument;
};

const run = async (
  argument: string,
  { home, name, organisation, endorsement, json }: NodeJoinOptions,
): Promise<void> => {
  const { joinFederation } = await import('@weft/node-agent');
  const invite = await readInvite(argument);
  const { federation, status } = await joinFederation({
    home,
    invite,
    nodeName: name,
    ...(organisation !== undefined && { organisation }),
    ...(endorsement !== undefined && { endorsement: parseEndorsement(await readInvite(endorsement)) }),
  });
  const { federationId, federationName, nodeId, nodeName, address } = federation;
  process.stderr.write(`${privacyNotice}\n`);
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ federationId, federationName, nodeId, nodeName, address, status, home, notice: privacyNotice })}\n`,
    );
    return;
  }
  const next =
    status === 'approved' ? 'Approved.' : 'The admin has yet to approve this node; it may be started meanwhile.';
  process.stdout.write(
    `federation  ${federationName} (${federationId})\nnode        ${nodeName} (${nodeId})\ncoordinator ${address}\nstatus      ${status}\n`,
  );
  process.stderr.write(
    `${next} Say what it takes part in with \`weft node policy init\`, then go on with \`weft node start --data PATH\`.\n`,
  );
  if (endorsement === undefined)
    process.stderr.write(
      "No organisation has signed for this node. One that would needs this federation's id and what `weft node key` prints, for `weft org endorse`; then join again with the same invite and --endorsement.\n",
    );
};

export const command: CommandModule = {
  examples: [
    'weft node join weft1_CAESDjEyNy4wLjAuMTo3NDQz…',
    'weft node join @invite.txt --name archive --organisation "City Library"',
    'weft node join @invite.txt --name archive --organisation "City Library" --endorsement @archive.endorsement',
  ],
  configure: (command: Command): void => {
    addNodeHome(command)
      .argument('<invite>', 'as the admin gave it; @FILE reads a file, - standard input')
      .addOption(
        new Option('--name <text>', 'what the admin sees').env('WEFT_NODE_NAME').default(hostname(), 'the host name'),
      )
      .option('--organisation <text>', 'what the admin sees beside the name')
      .option('--endorsement <text>', "an organisation's word for this node, of `weft org endorse`; @FILE reads a file")
      .option('--json', 'one JSON object on standard output')
      .action((invite: string, _options: unknown, command: Command) => run(invite, command.opts<NodeJoinOptions>()));
  },
};

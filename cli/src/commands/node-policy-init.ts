import process from 'node:process';
import type { Command } from 'commander';
import { WeftError } from '@weft/shared';
import type { PolicyInput, PolicyKey } from '@weft/node-agent';
import type { CommandModule } from '../command.ts';
import { addNodeHome } from '../node-home.ts';
import { askPolicy } from '../policy/ask-policy.ts';
import { addPolicyFlags, policyFromFlags } from '../policy/policy-flags.ts';

type InitOptions = {
  readonly home: string;
  readonly yes?: true;
  readonly replace?: true;
  readonly json?: true;
} & Readonly<Partial<Record<PolicyKey, string>>>;

const run = async ({ home, yes, replace, json, ...flags }: InitOptions): Promise<void> => {
  const { checkPolicy, policyInWords, readPolicy, writePolicy } = await import('@weft/node-agent');
  if (yes === undefined && !process.stdin.isTTY)
    throw new WeftError(
      'WEFT_USAGE',
      'there is no terminal to ask questions on: give --yes, and flags for what differs',
    );
  const given = checkPolicy(policyFromFlags(flags), 'the command line');
  // questions are not asked in vain
  if (replace === undefined && (await readPolicy(home)).isWritten)
    throw new WeftError('WEFT_POLICY_EXISTS', `there is a policy in ${home} already`);
  const answers: PolicyInput = yes === true ? {} : await askPolicy(given, new Set(Object.keys(flags)));
  const policy = checkPolicy({ ...given, ...answers }, 'the answers');
  const path = await writePolicy(home, policy, { replace: replace === true });
  if (json) process.stdout.write(`${JSON.stringify({ path, policy })}\n`);
  else {
    process.stdout.write(`${path}\n`);
    process.stderr.write(
      `${policyInWords(policy)
        .map(({ says }) => `  ${says}\n`)
        .join('')}It holds from the next \`weft node start\`.\n`,
    );
  }
};

export const command: CommandModule = {
  examples: [
    'weft node policy init',
    'weft node policy init --yes --smallest-cohort 10 --least-colluders 2 --hours 22:00-06:00 --approval by-hand',
  ],
  configure: (command: Command): void => {
    addPolicyFlags(addNodeHome(command))
      .option('--yes', 'ask nothing: flags, and defaults for the rest')
      .option('--replace', 'write a policy that is there already anew')
      .option('--json', '{"path","policy"} on standard output')
      .addHelpText('after', '\nThe file is policy.yaml in the home; `weft node policy show` reads it aloud.')
      .action((_options: unknown, command: Command) => run(command.opts<InitOptions>()));
  },
};

import process from 'node:process';
import type { Command } from 'commander';
import { isWeftError, WeftError } from '@weft/shared';
import type { Policy, PolicyKey, PolicyMistake } from '@weft/node-agent';
import type { CommandModule } from '../command.ts';
import { addNodeHome } from '../node-home.ts';
import { askPolicy } from '../policy/ask-policy.ts';
import { addPolicyFlags, flagOf, policyFromFlags, textOf } from '../policy/policy-flags.ts';
import { questions, type Answers } from '../policy/questions.ts';
import { wrapped } from '../wrapped.ts';

type InitOptions = {
  readonly home: string;
  readonly yes?: true;
  readonly replace?: true;
  readonly json?: true;
} & Readonly<Partial<Record<PolicyKey, string>>>;

const run = async ({ home, yes, replace, json, ...flags }: InitOptions): Promise<void> => {
  const { checkPolicy, policyInWords, policyMistakes, writePolicy } = await import('@weft/node-agent');
  // the questions stand on standard error: without a terminal there, nobody would see what is waited for
  const asks = yes !== true;
  if (asks && !(process.stdin.isTTY && process.stderr.isTTY))
    throw new WeftError(
      'WEFT_USAGE',
      'there is no terminal to ask questions on: give --yes, and flags for what differs from the defaults',
    );
  const byFlag = new Set(Object.keys(flags));
  const given: Answers = { ...(await startingPoint(home, replace === true)), ...policyFromFlags(flags) };
  const isAsked = (path: string): boolean => asks && questions.some(({ key }) => key === path && !byFlag.has(key));
  // questions are not asked in vain
  const mistakes = policyMistakes(given).filter(({ path }) => !isAsked(path));
  if (mistakes.length > 0)
    throw new WeftError('WEFT_USAGE', `nothing was written:\n  ${mistakes.map(flagMistake).join('\n  ')}`);
  const answers = asks ? await askPolicy({ given, byFlag, mistakesIn: policyMistakes }) : given;
  const policy = checkPolicy(answers, 'the policy');
  const path = await writePolicy(home, policy, { replace: replace === true });
  if (json) {
    process.stdout.write(`${JSON.stringify({ path, policy })}\n`);
    return;
  }
  process.stdout.write(`${path}\n`);
  process.stderr.write(
    `${policyInWords(policy)
      .map(({ says }) => wrapped(`- ${says}`, process.stderr, 2))
      .join('')}It holds from the next \`weft node start\`; \`weft node policy show\` reads it again.\n`,
  );
};

const flagMistake = ({ path, value, rule }: PolicyMistake): string => {
  const [key = ''] = path.split('.');
  return `${[flagOf(key), ...(value === undefined ? [] : [textOf(value)])].join(' ')}: ${rule}`;
};

/** What holds where neither a flag nor an answer says otherwise. @throws WEFT_POLICY_EXISTS */
async function startingPoint(home: string, replace: boolean): Promise<Policy> {
  const { defaultPolicy, readPolicy } = await import('@weft/node-agent');
  try {
    const { policy, path, isWritten } = await readPolicy(home);
    if (isWritten && !replace) throw new WeftError('WEFT_POLICY_EXISTS', `${path} is there already`);
    return policy;
  } catch (error) {
    if (!replace || !isWeftError(error)) throw error;
    process.stderr.write(`${error.message}\nIt is written anew, from the defaults.\n`);
    return defaultPolicy;
  }
}

export const command: CommandModule = {
  examples: [
    'weft node policy init',
    'weft node policy init --yes --smallest-cohort 10 --least-colluders 2 --hours 22:00-06:00 --approval by-hand',
    'weft node policy init --yes --replace --privacy-budget 8 --privacy-ledger home',
  ],
  configure: (command: Command): void => {
    addPolicyFlags(addNodeHome(command))
      .option('--yes', 'ask nothing: flags, and defaults for the rest')
      .option('--replace', 'write over a policy that is there; what is neither asked nor given stays as it says')
      .option('--json', '{"path","policy"} on standard output')
      .addHelpText('after', '\nThe file is policy.yaml in the home; `weft node policy show` reads it aloud.')
      .action((_options: unknown, command: Command) => run(command.opts<InitOptions>()));
  },
};

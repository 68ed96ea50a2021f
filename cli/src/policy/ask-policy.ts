import process from 'node:process';
import { cancel, intro, isCancel, note, select, text } from '@clack/prompts';
import type { Policy, PolicyInput, PolicyKey } from '@weft/node-agent';
import { isWeftError, WeftError } from '@weft/shared';
import { policyFlags, valueOf } from './policy-flags.ts';

/** What an operator is asked; all else has a default and stands in the file, to be edited. */
const asked = [
  'secureAggregation',
  'smallestCohort',
  'leastColluders',
  'trustedOrganisations',
  'fewestOrganisations',
  'baseModels',
  'publishers',
  'mostRounds',
  'privacyBudget',
  'privacyLedger',
  'metrics',
  'hours',
  'threads',
  'witness',
  'approval',
] as const satisfies readonly PolicyKey[];

/** Answers in words that may be chosen between. */
const choices: Partial<Record<PolicyKey, readonly string[]>> = {
  secureAggregation: ['required', 'optional'],
  witness: ['no', 'yes'],
  approval: ['by-rule', 'by-hand'],
};

/** Whether what was answered so far leaves a key nothing to decide. */
const isIdle = (
  key: PolicyKey,
  { trustedOrganisations, baseModels, privacyBudget }: Readonly<Record<string, unknown>>,
): boolean =>
  (key === 'fewestOrganisations' && trustedOrganisations === 'any') ||
  (key === 'publishers' && baseModels === 'any') ||
  (key === 'privacyLedger' && privacyBudget === 'none');

const output = process.stderr;

/**
 * Asks on standard error.
 * @param given by flags, over defaults; a key that a flag set is not asked for
 * @throws WEFT_USAGE when the operator breaks off
 */
export async function askPolicy(given: Policy, byFlag: ReadonlySet<string>): Promise<PolicyInput> {
  const { checkPolicy } = await import('@weft/node-agent');
  intro('What may this node take part in?', { output });
  const answers: Record<string, unknown> = {};
  for (const key of asked.filter((name) => !byFlag.has(name))) {
    if (isIdle(key, { ...given, ...answers })) continue;
    const [, message] = policyFlags[key];
    const initial = String(given[key]);
    const options = choices[key]?.map((value) => ({ value, label: value }));
    const answer =
      options === undefined
        ? await text({
            message,
            initialValue: initial,
            output,
            validate(typed) {
              try {
                checkPolicy({ ...given, ...answers, [key]: valueOf(key, typed ?? '') }, 'the answer');
              } catch (error) {
                if (!isWeftError(error)) return 'is not a value';
                // what the answer leaves open for a later question is no mistake of this one
                return error.message
                  .split('\n')
                  .find((line) => line.trim().startsWith(key))
                  ?.trim();
              }
              return undefined;
            },
          })
        : await select({ message, options, initialValue: initial, output });
    if (isCancel(answer)) {
      cancel('Nothing was written.', { output });
      throw new WeftError('WEFT_USAGE', 'the questions were broken off, and no policy was written');
    }
    answers[key] = valueOf(key, answer);
  }
  note('All else has a default: read the file, and edit it.', undefined, { output });
  return answers;
}

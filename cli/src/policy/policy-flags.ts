import type { Command } from 'commander';
import type { PolicyKey } from '@weft/node-agent';

/** Keys of a policy that a flag sets, each with the words of `--help`; a test holds them against the policy's schema. */
export const policyFlags = {
  baseModels: ['hash,…', 'base models that may be trained; any; none: only what publishers signed'],
  publishers: ['key,…', 'publishers whose signature allows a base model; none'],
  objectives: ['name,…', 'what may be trained for'],
  adapterTargets: ['name,…', 'projections that an adapter may change'],
  greatestRank: ['n', 'LoRA rank at most'],
  leastSteps: ['n', 'local steps in a round at least'],
  leastExamples: ['n', 'rows that a round trains on at least'],
  mostRounds: ['n', 'rounds of one run at most'],
  secureAggregation: ['word', 'required, or optional: then plain runs too, where the coordinator reads each delta'],
  smallestCohort: ['n', 'members of a secure round at least'],
  smallestSurvivors: ['n', 'summed members at least, beyond all that may collude'],
  leastColluders: ['n', 'colluding members that a secure round must withstand'],
  trustedOrganisations: ['key,…', 'organisations whose word for a member counts; any'],
  fewestOrganisations: ['n', 'different trusted organisations among the members of a sum at least'],
  leastNoise: ['z', 'noise multiplier that a run must have'],
  publishMaskedInputs: ['word', 'yes: a run with noise may publish masked updates; no'],
  privacyBudget: ['epsilon', 'ε that the data may spend in all; none'],
  privacyDelta: ['number', 'δ of that budget'],
  privacyLedger: ['dir', 'where ε is counted: home, or the one folder of all homes with this data'],
  dataSet: ['name', 'name of this data in the ledger'],
  greatestClipNorm: ['norm', 'L2 norm of a delta at most'],
  weighting: ['name,…', 'uniform, examples'],
  greatestServerRate: ['rate', "the server's learning rate at most"],
  metrics: ['name,…', 'what may leave beside the update: speed, training-time, held-out-loss, clipping; none'],
  heldOutShare: ['share', 'share of the records that is held back, where held-out-loss may leave'],
  leastHeldOut: ['n', 'different held-back records that a loss must be of at least'],
  witness: ['word', 'yes: cosigns the transparency log, and shows its organisation there; no'],
  hours: ['from-to,…', 'local times in which a round may begin; any'],
  threads: ['n', 'threads at most; any'],
  memoryMiB: ['n', 'memory that a step may be foretold to take, in MiB; any'],
  devices: ['name,…', 'where it may compute'],
  approval: ['word', 'by-rule, or by-hand: each run waits for `weft node policy approve`'],
} as const satisfies Readonly<Record<Exclude<PolicyKey, 'version'>, readonly [string, string]>>;

const lists: ReadonlySet<string> = new Set<PolicyKey>([
  'baseModels',
  'publishers',
  'trustedOrganisations',
  'objectives',
  'adapterTargets',
  'weighting',
  'hours',
  'metrics',
  'devices',
]);

/** Words that may look like numbers. */
const texts: ReadonlySet<string> = new Set<PolicyKey>(['privacyLedger', 'dataSet']);

export const flagOf = (key: string): string =>
  `--${key.replace('MiB', '-mib').replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** Adds `--smallest-cohort <n>` and its like; the options have the names of the policy's keys. */
export const addPolicyFlags = (command: Command): Command =>
  Object.entries(policyFlags).reduce(
    (built, [key, [value, words]]) =>
      built.addOption(
        Object.assign(built.createOption(`${flagOf(key)} <${value}>`, words), { attributeName: () => key }),
      ),
    command,
  );

/** Text of flags as the values of a policy that it would be in YAML; what is wrong with them, the policy's check says. */
export const policyFromFlags = (flags: Readonly<Record<string, string | undefined>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(flags).flatMap(([key, text]) => (text === undefined ? [] : [[key, valueOf(key, text)]])),
  );

/** What is typed for a key: `any`, a list with commas, a number or a word. */
export function valueOf(key: string, text: string): unknown {
  const word = text.trim();
  if (lists.has(key) && word !== 'any' && word !== 'none') {
    const items = word.split(',').map((item) => item.trim());
    // a comma too many is no entry
    return items.filter((item) => item !== '' || items.length === 1);
  }
  if (texts.has(key)) return word;
  return word !== '' && Number.isFinite(Number(word)) ? Number(word) : word;
}

/** The other way round. */
export const textOf = (value: unknown): string => {
  if (Array.isArray(value)) return value.join(',');
  return typeof value === 'string' ? value : JSON.stringify(value);
};

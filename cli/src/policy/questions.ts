import type { PolicyKey } from '@weft/node-agent';

/** What may be chosen: what stands in the file, and what it means. */
type Choices = Readonly<Record<string, string>>;

/** Values by key, not checked yet. */
export type Answers = Readonly<Partial<Record<PolicyKey, unknown>>>;

export interface Question {
  readonly key: PolicyKey;
  readonly asks: string;
  /** What may be typed, with an example, and what follows from it. */
  readonly hint?: string;
  /** Instead of typing. */
  readonly choices?: Choices;
  /** Any number of the choices, or none. */
  readonly many?: true;
  /** Whether what was answered so far leaves this key nothing to decide. */
  readonly isIdle?: (answered: Answers) => boolean;
}

const hasNoBudget = ({ privacyBudget }: Answers): boolean => privacyBudget === 'none';

/** What an operator is asked; all else has a default and stands in the file, to be edited. */
export const questions: readonly Question[] = [
  {
    key: 'secureAggregation',
    asks: "May the coordinator ever read this node's own update?",
    choices: {
      required: 'no, it learns only the sum over all members of a round',
      optional: 'yes, in a run that says so; such runs are taken too',
    },
  },
  {
    key: 'smallestCohort',
    asks: 'How many nodes must take part in a round at least?',
    hint: 'A number, 3 or more. A sum of three or four hides a single update badly.',
  },
  {
    key: 'leastColluders',
    asks: 'How many of them may conspire with the coordinator and still not learn this update?',
    hint: 'A number. The more it is, the more members a round needs.',
  },
  {
    key: 'trustedOrganisations',
    asks: 'Which organisations do you trust to sign for real nodes?',
    hint: 'Their keys, as `weft org create` prints them, with commas between; your own belongs to them. With any, the coordinator could make members up.',
  },
  {
    key: 'fewestOrganisations',
    asks: 'Members of how many of these organisations must a sum hold at least?',
    hint: 'With 1 a sum may be of members of one organisation alone.',
    isIdle: ({ trustedOrganisations }) => trustedOrganisations === 'any',
  },
  {
    key: 'baseModels',
    asks: 'Which base models may be trained?',
    hint: 'Their hashes, as `weft model show` prints them, with commas between; any; or none, where only what publishers signed may be.',
  },
  {
    key: 'publishers',
    asks: "Which publishers' signatures allow a base model too?",
    hint: 'Their keys, with commas between; or none.',
    isIdle: ({ baseModels }) => baseModels === 'any',
  },
  {
    key: 'mostRounds',
    asks: 'How many rounds may a run have at most?',
    hint: 'A number. Each round tells a little more about the data.',
  },
  {
    key: 'privacyBudget',
    asks: 'How much of its privacy may the data spend in all, as ε?',
    hint: 'A number, such as 8 (`weft privacy plan` tells what it takes): then each run must have noise, and this node stops where it is spent. none: runs without noise are taken too.',
  },
  {
    key: 'privacyDelta',
    asks: 'At which δ is that ε counted?',
    hint: 'A number well below one over the number of people in the data.',
    isIdle: hasNoBudget,
  },
  {
    key: 'privacyLedger',
    asks: 'Where is ε counted?',
    hint: 'home, if no other home trains on this data. Otherwise the one folder that all of them name, such as /srv/weft-ledger: each counts what the others spend.',
    isIdle: hasNoBudget,
  },
  {
    key: 'dataSet',
    asks: 'Under which name is this data counted there?',
    hint: 'The same name in each home that trains on it, and another for other data.',
    isIdle: (answered) => hasNoBudget(answered) || answered.privacyLedger === 'home',
  },
  {
    key: 'metrics',
    asks: 'Which figures may leave beside the update?',
    hint: 'No run needs them, and a run with noise gets none.',
    choices: {
      speed: 'tokens a second',
      'training-time': 'seconds that training took',
      'held-out-loss': 'how well the adapter does on records that are held back, in the clear also in secure runs',
      clipping: 'in plain mode, whether the update was longer than the clip norm',
    },
    many: true,
    isIdle: ({ privacyBudget, leastNoise }) => privacyBudget !== 'none' || leastNoise !== 0,
  },
  {
    key: 'hours',
    asks: 'When may a round begin?',
    hint: 'Local times with commas between, such as 22:00-06:00,12:00-13:00; or any.',
  },
  {
    key: 'threads',
    asks: 'How many threads may training use at most?',
    hint: 'A number; or any.',
  },
  {
    key: 'witness',
    asks: 'Shall this node cosign the transparency log?',
    choices: {
      no: 'no, it only checks the log',
      yes: 'yes, so that others can trust the log; everyone sees its key and its organisation there',
    },
  },
  {
    key: 'approval',
    asks: 'Must you approve each run?',
    choices: {
      'by-rule': 'no, a run within this policy is taken',
      'by-hand': 'yes, it waits for `weft node policy approve`',
    },
  },
];

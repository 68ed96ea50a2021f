import { isAbsolute } from 'node:path';
import { isSha256, loraTargets } from '@weft/shared';
import { devices } from '@weft/trainer';
import { z } from 'zod';
import { dataSetPattern } from '../ledger/ledger-line.ts';
import { defaultMetrics, metricNames } from './metrics.ts';

const any = z.literal('any');
const none = z.literal('none');
const count = z.number().int().positive();
const hash = z.string().refine(isSha256, 'must be 64 lower-case hex digits, as `weft model show` prints them');
const organisation = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits, as `weft org create` prints them');
const clock = '([01]\\d|2[0-3]):[0-5]\\d';
const window = z.string().regex(new RegExp(`^${clock}-${clock}$`), 'must be HH:MM-HH:MM, such as 22:00-06:00');
const listOf = <T extends z.ZodType>(item: T) => z.array(item).min(1).max(1000);

/**
 * What a node takes part in. Each key narrows what a run may ask for; a run that asks for more is declined with the
 * key's name. The defaults hold where there is no file. No key stands here that the code does not enforce.
 */
export const policySchema = z
  .strictObject({
    version: z.literal(1).default(1).describe('form of this file'),
    baseModels: z
      .union([any, none, listOf(hash)])
      .default('any')
      .describe('base models that may be trained, by hash; any; none: only what publishers signed'),
    publishers: z
      .union([none, listOf(organisation)])
      .default('none')
      .describe(
        'keys of publishers: a base model that one of them signed may be trained too (`weft node policy trust-model`); none',
      ),
    objectives: listOf(z.literal('causal-lm')).default(['causal-lm']).describe('what may be trained for'),
    adapterTargets: listOf(z.enum(loraTargets))
      .default([...loraTargets])
      .describe('projections that an adapter may change'),
    greatestRank: count.max(256).default(64).describe('LoRA rank; a greater one can hold more of single texts'),
    leastSteps: count
      .max(100_000)
      .default(2)
      .describe('local steps in a round; the delta of a single step is a gradient, which gives away most'),
    leastExamples: count
      .max(2 ** 31)
      .default(16)
      .describe('rows that a round trains on: steps times rows in a batch, and no fewer rows of your own'),
    mostRounds: count
      .max(100_000)
      .default(1000)
      .describe('rounds of one run; twice as many updates of it leave at most, with all that is tried again'),
    secureAggregation: z
      .enum(['required', 'optional'])
      .default('required')
      .describe(
        'required: only sums leave. optional: a run in plain mode is taken too, where the coordinator reads each delta',
      ),
    smallestCohort: count
      .min(3)
      .max(10_000)
      .default(5)
      .describe('members that a secure round must have; three or four hide a single one badly'),
    smallestSurvivors: count
      .max(10_000)
      .default(2)
      .describe('members of a secure round whose deltas are summed, beyond all that may collude'),
    leastColluders: z
      .number()
      .int()
      .min(0)
      .max(100)
      .default(1)
      .describe('members that may collude with the coordinator and still learn no single delta'),
    trustedOrganisations: z
      .union([any, listOf(organisation)])
      .default('any')
      .describe(
        'keys of organisations; members that none of them endorsed count as colluders. any: as the coordinator names them, which may make members up',
      ),
    fewestOrganisations: z
      .number()
      .int()
      .min(1)
      .max(1000)
      .default(1)
      .describe(
        'different trusted organisations that the members of a sum must come from; counted where they are listed',
      ),
    leastNoise: z
      .number()
      .min(0)
      .max(1000)
      .default(0)
      .describe('noise multiplier that a run must have; 0 also takes runs without noise'),
    publishMaskedInputs: z
      .enum(['no', 'yes'])
      .default('no')
      .describe(
        'yes: a run with noise may publish masked updates, and that this node took part, so that anyone recomputes the sum',
      ),
    privacyBudget: z
      .union([none, z.number().positive().max(1e6)])
      .default('none')
      .describe('ε that the data may spend in all, over every run; with one, rounds without noise are declined'),
    privacyDelta: z.number().positive().max(0.1).default(1e-5).describe('δ of that budget'),
    privacyLedger: z
      .union([
        z.enum(['undecided', 'home']),
        z.string().max(1024).refine(isAbsolute, 'must be home, or the absolute path of a folder'),
      ])
      .default('undecided')
      .describe(
        'where ε is counted: home, if no other home trains on this data, or the one folder that all such homes name; a budget needs one of the two',
      ),
    dataSet: z
      .string()
      .regex(
        dataSetPattern,
        'must begin with a letter or a digit and have no more than 64 letters, digits, spaces and _ . -',
      )
      .default('data')
      .describe('name of this data in the ledger; what is charged under one name adds up'),
    greatestClipNorm: z
      .number()
      .positive()
      .max(1e6)
      .default(10)
      .describe('L2 norm that a delta is clipped to: the most that this node can move a model'),
    weighting: listOf(z.enum(['examples', 'uniform']))
      .default(['uniform', 'examples'])
      .describe('how nodes may count; examples tells the number of yours in plain mode'),
    greatestServerRate: z
      .number()
      .positive()
      .max(100)
      .default(2)
      .describe("the server's learning rate; above 1 the mean delta is overshot"),
    metrics: z
      .union([none, listOf(z.enum(metricNames))])
      .default(defaultMetrics)
      .describe(
        'what may leave beside the update, in a run without noise: the list, or none; with noise nothing does. held-out-loss is two exact numbers about held-back records, in the clear also in secure runs: list baseModels with it',
      ),
    heldOutShare: z
      .number()
      .positive()
      .max(0.5)
      .default(0.1)
      .describe(
        'share of the records that is held back to score adapters with, the same ones in every run, where held-out-loss may leave; a run that asks for more is declined',
      ),
    leastHeldOut: count
      .max(2 ** 31)
      .default(16)
      .describe('different records that a loss must be of: with fewer held back none leaves'),
    witness: z
      .enum(['yes', 'no'])
      .default('no')
      .describe(
        'yes: this node cosigns the transparency log, and everyone sees its key and its organisation there. no: it only checks',
      ),
    hours: z
      .union([any, listOf(window)])
      .default('any')
      .describe('local times in which a round may begin, such as [22:00-06:00]; any'),
    threads: z
      .union([any, count.max(1024)])
      .default('any')
      .describe('threads that training may use at most; any'),
    memoryMiB: z
      .union([any, count.max(2 ** 24)])
      .default('any')
      .describe('resident memory in MiB that a training step may be foretold to take on the CPU; any'),
    devices: listOf(z.enum(devices))
      .default(['auto'])
      .describe(
        'where it may compute; auto is whatever suits best, otherwise the first is taken unless --device names another',
      ),
    approval: z
      .enum(['by-rule', 'by-hand'])
      .default('by-rule')
      .describe('by-hand: a run within the policy still waits for `weft node policy approve`'),
  })
  .superRefine((policy, context) => {
    const { trustedOrganisations, fewestOrganisations, baseModels, publishers, privacyBudget, privacyLedger } = policy;
    const mistake = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (baseModels === 'any' && publishers !== 'none')
      mistake('publishers', 'decides nothing while baseModels is any: list hashes there, or none');
    if (baseModels === 'none' && publishers === 'none')
      mistake('publishers', 'must be a list where baseModels is none: otherwise no base model is allowed at all');
    // two homes with a ledger each would spend the budget twice, and neither could know
    if (privacyBudget !== 'none' && privacyLedger === 'undecided')
      mistake(
        'privacyLedger',
        'must be said where there is a privacyBudget: home, if no other home trains on this data, or the one folder that all of them name',
      );
    if (trustedOrganisations === 'any' && fewestOrganisations > 1)
      mistake(
        'fewestOrganisations',
        'needs a list in trustedOrganisations: without one the coordinator could make organisations up',
      );
    if (trustedOrganisations !== 'any' && new Set(trustedOrganisations).size < fewestOrganisations)
      mistake(
        'fewestOrganisations',
        `is more than the ${new Set(trustedOrganisations).size} of trustedOrganisations: no sum would ever do`,
      );
  });

export type Policy = Readonly<z.infer<typeof policySchema>>;
export type PolicyInput = z.input<typeof policySchema>;
export type PolicyKey = keyof Policy;

export const policyKeys = Object.keys(policySchema.shape) as readonly PolicyKey[];

/** What holds where the home has no policy.yaml. */
export const defaultPolicy: Policy = policySchema.parse({});

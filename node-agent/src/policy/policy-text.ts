import type { RunSpec } from '@weft/shared';
import { stringify } from 'yaml';
import { policyKeys, policySchema, type Policy, type PolicyKey } from './policy.ts';

const asOneLine = { collectionStyle: 'flow', flowCollectionPadding: false, lineWidth: 0 } as const;

/** The file as `weft node policy init` writes it: every key, with what it says above it. */
export const policyYaml = (policy: Policy): string =>
  `# What this node takes part in. A run that asks for more is declined with the name of the key.\n` +
  `# Changes hold from the next \`weft node start\`; \`weft node policy show\` checks them.\n\n` +
  policyKeys.map((key) => `# ${docOf(key)}\n${key}: ${stringify(policy[key], { ...asOneLine })}`).join('\n');

export const docOf = (key: PolicyKey): string => policySchema.shape[key].description ?? '';

const list = (names: readonly (string | number)[]): string => names.join(', ');

/** A sentence for each key, in the order of the file. */
export const policyInWords = (policy: Policy): readonly { readonly key: PolicyKey; readonly says: string }[] =>
  policyKeys.flatMap((key) => (key === 'version' ? [] : [{ key, says: words[key](policy) }]));

/** What a run asks of a node, for an operator who approves it by hand. */
export function runInWords({ baseModel, adapter, training, rounds, aggregation, cohort, privacy }: RunSpec): string {
  const { rank, targets } = adapter;
  const { steps, batchSize, sequenceLength } = training;
  return [
    `${rounds} rounds of ${steps} steps of ${batchSize} rows, ${sequenceLength} tokens at most each`,
    `base model ${baseModel.name} (${baseModel.sha256})`,
    `a LoRA adapter of rank ${rank} on ${list(targets)}`,
    aggregation.mode === 'secure'
      ? `secure aggregation of ${cohort.minimum} members at least`
      : 'mode plain: THE COORDINATOR CAN READ THE DELTA',
    `clip norm ${aggregation.clipNormL2}`,
    privacy === undefined ? 'no noise' : `noise multiplier ${privacy.noiseMultiplier}`,
    ...(aggregation.secure.publishInputs ? ['masked updates are published'] : []),
  ].join('; ');
}

const words: Readonly<Record<Exclude<PolicyKey, 'version'>, (policy: Policy) => string>> = {
  baseModels: ({ baseModels }) =>
    baseModels === 'any'
      ? 'Any base model may be trained.'
      : baseModels === 'none'
        ? 'No base model is allowed by its hash.'
        : `Only base models with these hashes: ${list(baseModels)}.`,
  publishers: ({ publishers }) =>
    publishers === 'none'
      ? "No publisher's signature allows a base model."
      : `Base models that one of these publishers signed are allowed too: ${list(publishers)}.`,
  objectives: ({ objectives }) => `Training is for ${list(objectives)}.`,
  adapterTargets: ({ adapterTargets }) => `An adapter may change ${list(adapterTargets)}.`,
  greatestRank: ({ greatestRank }) => `Its rank is ${greatestRank} at most.`,
  leastSteps: ({ leastSteps }) => `A round trains ${leastSteps} local steps at least.`,
  leastExamples: ({ leastExamples }) => `It trains on ${leastExamples} rows at least.`,
  mostRounds: ({ mostRounds }) =>
    `A run has ${mostRounds} rounds at most; as many again are answered where rounds are tried once more.`,
  secureAggregation: ({ secureAggregation }) =>
    secureAggregation === 'required'
      ? 'Secure aggregation is required: a run in which the coordinator could read the delta is declined.'
      : 'Runs in plain mode are taken too: IN THOSE THE COORDINATOR CAN READ THE DELTA.',
  smallestCohort: ({ smallestCohort }) => `A secure round has ${smallestCohort} members at least.`,
  smallestSurvivors: ({ smallestSurvivors }) =>
    `Its sum holds the deltas of ${smallestSurvivors} members at least beyond all that may collude.`,
  leastColluders: ({ leastColluders }) =>
    leastColluders === 0
      ? 'It need not withstand members that collude with the coordinator.'
      : `It withstands ${leastColluders} member${leastColluders === 1 ? '' : 's'} at least that may collude with the coordinator.`,
  trustedOrganisations: ({ trustedOrganisations }) =>
    trustedOrganisations === 'any'
      ? 'Members count as the coordinator names them: it could make some up.'
      : `Members that none of these organisations endorsed count as colluders: ${list(trustedOrganisations)}.`,
  fewestOrganisations: ({ trustedOrganisations, fewestOrganisations }) =>
    trustedOrganisations === 'any'
      ? 'How many organisations a sum is of is not counted: none is listed.'
      : fewestOrganisations === 1
        ? 'A sum may be of the members of one of them alone.'
        : `A sum is of members of ${fewestOrganisations} of them at least.`,
  leastNoise: ({ leastNoise, privacyBudget }) =>
    leastNoise === 0
      ? privacyBudget === 'none'
        ? 'Runs without noise are taken too: then secure aggregation is the only protection.'
        : 'A run must have noise; how much of it, the privacy budget decides.'
      : `A run has a noise multiplier of ${leastNoise} at least.`,
  publishMaskedInputs: ({ publishMaskedInputs }) =>
    publishMaskedInputs === 'no'
      ? 'No masked update is published.'
      : 'A run with noise may publish the masked updates of all members, and who they were.',
  privacyBudget: ({ privacyBudget, privacyDelta }) =>
    privacyBudget === 'none'
      ? 'No privacy budget.'
      : `Over every run the data may spend ε = ${privacyBudget} at δ = ${privacyDelta}, and no round without noise is taken.`,
  privacyDelta: ({ privacyDelta }) => `The δ of a privacy budget is ${privacyDelta}.`,
  privacyLedger: ({ privacyLedger }) =>
    privacyLedger === 'undecided' || privacyLedger === 'home'
      ? 'ε is counted in this home: of another home with the same data it knows nothing.'
      : `ε is counted in ${privacyLedger}, together with every home that names it.`,
  dataSet: ({ dataSet }) => `This data is charged as "${dataSet}".`,
  greatestClipNorm: ({ greatestClipNorm }) => `The delta is clipped to an L2 norm of ${greatestClipNorm} at most.`,
  weighting: ({ weighting }) => `Nodes may count by ${list(weighting)}.`,
  greatestServerRate: ({ greatestServerRate }) => `The server's learning rate is ${greatestServerRate} at most.`,
  metrics: ({ metrics }) =>
    metrics === 'none'
      ? 'Beside the update no figure of the work leaves.'
      : `Beside the update may leave: ${list(metrics)}; in a run with noise none of it.`,
  heldOutShare: ({ metrics, heldOutShare }) =>
    metrics.includes('held-out-loss')
      ? `A share of ${heldOutShare} of the records is held back in every run, and THE LOSS OF EACH ADAPTER ON THEM LEAVES IN THE CLEAR.`
      : 'No record is held back: no loss leaves.',
  leastHeldOut: ({ metrics, leastHeldOut }) =>
    metrics.includes('held-out-loss')
      ? `That loss is of ${leastHeldOut} different records at least, or none leaves.`
      : `A loss, if it might leave, would be of ${leastHeldOut} different records at least.`,
  witness: ({ witness }) =>
    witness === 'yes'
      ? 'This node cosigns the transparency log: everyone sees its key and its organisation there.'
      : 'This node checks the transparency log and cosigns nothing.',
  hours: ({ hours }) =>
    hours === 'any' ? 'Rounds may begin at any hour.' : `Rounds begin between ${list(hours)}, local time.`,
  threads: ({ threads }) => (threads === 'any' ? 'Any number of threads.' : `${threads} threads at most.`),
  memoryMiB: ({ memoryMiB }) =>
    memoryMiB === 'any' ? 'Any amount of memory.' : `A step is foretold to take ${memoryMiB} MiB of memory at most.`,
  devices: ({ devices }) =>
    devices.includes('auto') ? 'It computes on whatever suits best.' : `It computes on ${list(devices)}.`,
  approval: ({ approval }) =>
    approval === 'by-rule'
      ? 'A run within all this is taken without asking.'
      : 'A run within all this still waits for `weft node policy approve`.',
};

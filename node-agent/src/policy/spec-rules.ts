import { secagg, secureSizes, type RunSpec } from '@weft/shared';
import { heldBackShare } from './metrics.ts';
import type { Policy, PolicyKey } from './policy.ts';

export interface PolicyRefusal {
  /** The rule's name: the key of policy.yaml that the run breaks. */
  readonly rule: PolicyKey;
  /** With both numbers, for the operator; the coordinator learns the rule's name alone. */
  readonly why: string;
}

/** A rule of the policy, with the keys of the run spec that it holds. */
export interface SpecRule {
  readonly covers: readonly string[];
  /** @returns what is wrong, or undefined */
  readonly refusal: (spec: RunSpec, policy: Policy) => string | undefined;
}

const above = (what: string, asked: number, most: number): string | undefined =>
  asked > most ? `${what} ${asked}, the policy allows ${most} at most` : undefined;
const below = (what: string, asked: number, least: number): string | undefined =>
  asked < least ? `${what} ${asked}, the policy asks for ${least} at least` : undefined;
const outside = (what: string, asked: readonly string[], allowed: readonly string[]): string | undefined => {
  const strange = asked.filter((name) => !allowed.includes(name));
  return strange.length > 0 ? `${what} ${strange.join(', ')}, the policy allows ${allowed.join(', ')}` : undefined;
};
const isSecure = ({ aggregation }: RunSpec): boolean => aggregation.mode === 'secure';

export const specRules: Partial<Readonly<Record<PolicyKey, SpecRule>>> = {
  baseModels: {
    covers: ['baseModel.sha256'],
    refusal: ({ baseModel: { sha256 } }, { baseModels }) =>
      baseModels === 'any' || (baseModels !== 'none' && baseModels.includes(sha256))
        ? undefined
        : `the base model ${sha256} is none of the ${baseModels === 'none' ? 0 : baseModels.length} that the policy names or its publishers signed`,
  },
  objectives: {
    covers: ['objective.kind'],
    refusal: ({ objective }, { objectives }) => outside('the objective is', [objective.kind], objectives),
  },
  adapterTargets: {
    covers: ['adapter.targets'],
    refusal: ({ adapter }, { adapterTargets }) => outside('the adapter changes', adapter.targets, adapterTargets),
  },
  greatestRank: {
    covers: ['adapter.rank'],
    refusal: ({ adapter }, { greatestRank }) => above('the rank is', adapter.rank, greatestRank),
  },
  leastSteps: {
    covers: ['training.steps'],
    refusal: ({ training }, { leastSteps }) => below('the local steps are', training.steps, leastSteps),
  },
  leastExamples: {
    covers: ['training.steps', 'training.batchSize'],
    refusal: ({ training: { steps, batchSize } }, { leastExamples }) =>
      below('the rows of a round are', steps * batchSize, leastExamples),
  },
  mostRounds: {
    covers: ['rounds'],
    refusal: ({ rounds }, { mostRounds }) => above('the rounds are', rounds, mostRounds),
  },
  secureAggregation: {
    covers: ['aggregation.mode'],
    refusal: ({ aggregation: { mode } }, { secureAggregation }) =>
      mode === 'secure' || secureAggregation === 'optional'
        ? undefined
        : 'the run is in plain mode, where the coordinator reads each delta, and the policy requires secure aggregation',
  },
  smallestCohort: {
    covers: ['cohort.minimum'],
    // in plain mode no count of members hides anything, and none can be checked
    refusal: (spec, { smallestCohort }) =>
      isSecure(spec) ? below('the smallest cohort is', spec.cohort.minimum, smallestCohort) : undefined,
  },
  smallestSurvivors: {
    covers: ['aggregation.secure.smallestSurvivors'],
    refusal: (spec, { smallestSurvivors }) =>
      isSecure(spec)
        ? below('the smallest survivors are', spec.aggregation.secure.smallestSurvivors, smallestSurvivors)
        : undefined,
  },
  leastColluders: {
    covers: [
      'aggregation.secure.colludingShare',
      'aggregation.secure.leastColluders',
      'aggregation.secure.droppingShare',
    ],
    refusal(spec, { leastColluders }) {
      if (!isSecure(spec)) return undefined;
      const { secure } = spec.aggregation;
      const sizes = secagg.cohortSizes(spec.cohort.minimum, secureSizes(secure));
      const withstood = 'refusal' in sizes ? 0 : sizes.colluders;
      return below('the colluders withstood are', Math.min(withstood, secure.leastColluders), leastColluders);
    },
  },
  leastNoise: {
    covers: ['privacy.noiseMultiplier'],
    refusal: ({ privacy }, { leastNoise }) =>
      below('the noise multiplier is', privacy?.noiseMultiplier ?? 0, leastNoise),
  },
  privacyBudget: {
    covers: ['privacy.noiseMultiplier'],
    // whatever is asked for, a score alone too: what leaves without noise is more than any budget allows
    refusal: ({ privacy }, { privacyBudget }) =>
      privacyBudget !== 'none' && privacy === undefined
        ? `the run adds no noise, and the policy has a budget of ε = ${privacyBudget}: none would be enough for it`
        : undefined,
  },
  publishMaskedInputs: {
    covers: ['aggregation.secure.publishInputs'],
    refusal: ({ aggregation: { secure } }, { publishMaskedInputs }) =>
      secure.publishInputs && publishMaskedInputs === 'no'
        ? 'the run publishes the masked updates of its members, the policy does not allow that'
        : undefined,
  },
  greatestClipNorm: {
    covers: ['aggregation.clipNormL2'],
    refusal: ({ aggregation }, { greatestClipNorm }) =>
      above('the clip norm is', aggregation.clipNormL2, greatestClipNorm),
  },
  weighting: {
    covers: ['aggregation.weighting'],
    refusal: ({ aggregation }, { weighting }) => outside('nodes count by', [aggregation.weighting], weighting),
  },
  heldOutShare: {
    covers: ['evaluation.heldOutShare'],
    // no run decides which records, or how many: from two losses over splits of its choice it would learn of single ones
    refusal(spec, policy) {
      const share = heldBackShare(policy, spec);
      return share > 0 ? above('the share held back is', spec.evaluation.heldOutShare, share) : undefined;
    },
  },
  greatestServerRate: {
    covers: ['aggregation.server.learningRate'],
    refusal: ({ aggregation: { server } }, { greatestServerRate }) =>
      above("the server's rate is", server.learningRate, greatestServerRate),
  },
};

const comesOfTraining = 'it shapes the delta, which is clipped to greatestClipNorm before it leaves whatever it is';
const onlyWaits = 'it only says how long the coordinator waits';
const scoredThere = 'the coordinator scores a public file itself; nothing is asked of the node for it';
const afterTheSum = 'it is what the coordinator does with the sum that it learns anyway';

/** Keys of the run spec without a rule, each with the reason. A key in neither table makes every run refused. */
const onlyOthersWeigh =
  'it says how updates that the coordinator can read are weighed against each other; secureAggregation decides whether it can';

export const harmlessSpecKeys: Readonly<Record<string, string>> = {
  name: 'it is shown and decides nothing',
  'baseModel.name': 'it is shown; the hash decides',
  'adapter.kind': 'there is one kind',
  'adapter.alpha': comesOfTraining,
  'adapter.schedule': 'it says which factors are trained in which round; each leaves in the same way',
  'training.optimizer': 'there is one',
  'training.learningRate': comesOfTraining,
  'training.weightDecay': comesOfTraining,
  'training.warmupSteps': comesOfTraining,
  'training.schedule': comesOfTraining,
  'training.clipGradNorm': comesOfTraining,
  'training.sequenceLength': 'it costs memory, which memoryMiB holds, and cuts rows, whose number leastExamples holds',
  'cohort.maximum': 'more members hide a single one better; the least is held by smallestCohort',
  'cohort.perOrganisation':
    'it only leaves members out: the least of them is held by smallestCohort, and each roster is held against it',
  'cohort.quorum': onlyWaits,
  'cohort.deadlineSeconds': onlyWaits,
  'aggregation.secure.stepSeconds':
    'it says how long coordinator and node wait for each other in a step, a day at most; what the node keeps of a session goes then',
  'aggregation.secure.shardRule':
    'it is what the coordinator does with the sums of shards that it learns anyway; smallestSurvivors holds in each shard, and so does the noise',
  'aggregation.secure.auditDays':
    'it says how long the coordinator serves what publishMaskedInputs lets out; whoever read it may keep it for ever',
  'aggregation.quantizationBits': 'it says how coarsely the delta is rounded before it leaves; fewer bits say less',
  'aggregation.weightCap': 'it caps the one number that weighting holds',
  'aggregation.rule': onlyOthersWeigh,
  'aggregation.robust.byzantine': onlyOthersWeigh,
  'aggregation.robust.trimShare': onlyOthersWeigh,
  'aggregation.robust.radius': onlyOthersWeigh,
  'aggregation.robust.iterations': onlyOthersWeigh,
  'aggregation.server.optimizer': afterTheSum,
  'aggregation.server.momentum': afterTheSum,
  'privacy.unit': 'there is one',
  'privacy.adaptiveClipping':
    'the norm of each round is held against greatestClipNorm, in round/clip-norm.ts; the bit that it follows has noise of its own, and the ledger counts it',
  'privacy.delta': 'it says at which δ the run reports; the ledger of this node has its own, privacyDelta',
  'evaluation.gate.dataSha256': scoredThere,
  'evaluation.gate.format': scoredThere,
  'evaluation.gate.greatestIncrease': scoredThere,
  seed: 'it fixes the order of batches and the first adapter, and both are recomputed here',
};

/** Every rule that the spec breaks. Nothing but a spec without one may be trained for. */
export function refusalsOfSpec(spec: RunSpec, policy: Policy): readonly PolicyRefusal[] {
  const held = new Set([...Object.keys(harmlessSpecKeys), ...Object.values(specRules).flatMap(({ covers }) => covers)]);
  const strange = leavesOf(spec).filter((path) => !held.has(path));
  return [
    ...strange.map((path): PolicyRefusal => ({ rule: 'version', why: `this version has no rule about ${path}` })),
    ...Object.entries(specRules).flatMap(([rule, { refusal }]) => {
      const why = refusal(spec, policy);
      return why === undefined ? [] : [{ rule: rule as PolicyKey, why }];
    }),
  ];
}

/** Paths of what is no object. */
function leavesOf(value: object, path = ''): string[] {
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? leavesOf(inner, `${path}${key}.`)
      : [`${path}${key}`],
  );
}

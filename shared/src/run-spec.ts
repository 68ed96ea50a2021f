import { z } from 'zod';
import { loraTargets, type TrainedFactor } from './adapter-layout.ts';
import { aggregationRules, ruleIssues, shardRuleIssues } from './aggregation-rules.ts';
import { canonicalJson } from './canonical-json.ts';
import { WeftError } from './errors/weft-error.ts';
import { gateFormats } from './evaluation-gate.ts';
import { sha256 } from './hash.ts';
import { isSha256, type Sha256 } from './ids.ts';
import { coordinateCapOf, maxQuantizationBits, minQuantizationBits } from './quantization.ts';
import { fitsRing, ringBitsFor } from './ring.ts';
import { cohortSizes, maxCohort, maxShardMembers, minCohort, tellingMs } from './secagg/sizes.ts';

const hash = z.string().refine(isSha256, 'must be 64 lower-case hex digits');
const positive = z.number().positive();
const count = z.number().int().positive();

/** What a run does: data, never code. Hashed over its canonical JSON, signed, the same for every node. */
export const runSpecSchema = z
  .strictObject({
    name: z.string().min(1).max(100),
    baseModel: z.strictObject({
      name: z.string().min(1).max(200),
      /** As `weft model show` prints it. */
      sha256: hash,
    }),
    adapter: z
      .strictObject({
        kind: z.literal('lora').default('lora'),
        rank: count.max(256).default(8),
        alpha: positive.max(4096).default(16),
        targets: z.array(z.enum(loraTargets)).min(1).default(['q_proj', 'v_proj']),
        /** rolora: B in even rounds, A in odd ones. ffa: B only. fedit: both. */
        schedule: z.enum(['rolora', 'ffa', 'fedit']).default('rolora'),
      })
      .prefault({}),
    objective: z.strictObject({ kind: z.literal('causal-lm').default('causal-lm') }).prefault({}),
    training: z.strictObject({
      optimizer: z.literal('adamw').default('adamw'),
      learningRate: positive.max(1).default(1e-3),
      weightDecay: z.number().min(0).max(1).default(0),
      /** Local steps over which the rate climbs, at the start of each round. */
      warmupSteps: z.number().int().min(0).default(0),
      /** Over the steps of one round. */
      schedule: z.enum(['constant', 'linear', 'cosine']).default('constant'),
      clipGradNorm: positive.default(1),
      /** Optimizer steps at each node in each round. */
      steps: count.max(100_000),
      batchSize: count.max(1024).default(4),
      /** Tokens of one row at most. */
      sequenceLength: count.max(65_536).default(128),
    }),
    cohort: z
      .strictObject({
        /** Fewer connected nodes start no round. */
        minimum: count.default(1),
        /** The round starts at once when so many are connected, and no update beyond them is taken. */
        maximum: count.default(128),
        /**
         * Members of one organisation at most; whom it lets in is drawn. The word that counts is the one that was checked
         * when a node enrolled (`weft org endorse`). Nodes that nobody endorsed count as one organisation together, since
         * each of them could be of the same. Left out: any number.
         */
        perOrganisation: count.optional(),
        /** Share of the nodes that trained which must be ready before the cohort may be fixed. */
        quorum: z.number().positive().max(1).default(0.67),
        /** A round may take so long at most; the coordinator adapts the deadline below it to the median node. */
        deadlineSeconds: positive.max(7 * 24 * 3600).default(3600),
      })
      .prefault({}),
    aggregation: z.strictObject({
      /** secure: the coordinator learns the sum of the deltas and no single one. plain: it can read each. */
      mode: z.enum(['secure', 'plain']).default('secure'),
      /** Of mode secure. The graver numbers come, the more must survive a round for it to end in a sum. */
      secure: z
        .strictObject({
          /** Share of the cohort that may collude with the coordinator and still learn no single delta. */
          colludingShare: z.number().min(0).max(0.5).default(0.1),
          /** Colluders to withstand however small the cohort; of three nodes one only where none may drop. */
          leastColluders: z.number().int().min(0).max(100).default(1),
          /** Share of the cohort that may drop out at any stage. */
          droppingShare: z.number().min(0).max(0.5).default(0.3),
          /** Members whose deltas are summed beyond all that may collude. */
          smallestSurvivors: count.max(10_000).default(2),
          /** Each step of the protocol may take so long for a node that is alive. */
          stepSeconds: positive.max(24 * 3600).default(120),
          /**
           * Above 128 members, how the sums of the shards become one. mean: they are added up. trimmed-mean: of each
           * coordinate the mean of the shards' means without the robust.trimShare largest and smallest of them, one at
           * least at each end, so that a shard with a hostile member is left out where it stands out. Takes five shards.
           */
          shardRule: z.enum(['mean', 'trimmed-mean']).default('mean'),
          /** Keep masked inputs and openings for everyone, so that anyone recomputes the sum. Only with noise. */
          publishInputs: z.boolean().default(false),
          /** Days after a round's end for which they are kept. */
          auditDays: positive.max(3650).default(30),
        })
        .prefault({}),
      /** Of mode plain, but for mean: how the updates become one. All but mean withstand some that are hostile. */
      rule: z.enum(aggregationRules).default('mean'),
      /** Of every rule but mean; trimShare of aggregation.secure.shardRule: trimmed-mean too. */
      robust: z
        .strictObject({
          /** krum, multi-krum, bulyan: so many updates may be hostile. */
          byzantine: z.number().int().min(0).max(1000).default(1),
          /** trimmed-mean: share of the values of each coordinate that is left out at each end. */
          trimShare: z.number().min(0).lt(0.5).default(0.2),
          /** norm-bounding: L2 norm to which an update is cut. centred-clipping: L2 distance from the centre. */
          radius: positive.default(1),
          /** geometric-median, centred-clipping: steps towards the centre. */
          iterations: count.max(10_000).default(100),
        })
        .prefault({}),
      clipNormL2: positive.default(10),
      /**
       * q: bits of one value of an update; the ring is as wide as their sum needs. Below 16 the values are rotated and
       * rounded more coarsely, at a range that follows from clipNormL2: keep that near the updates' own norm.
       */
      quantizationBits: z.number().int().min(minQuantizationBits).max(maxQuantizationBits).default(maxQuantizationBits),
      /** examples: a node counts as min(examples, weightCap). uniform: each counts as one. */
      weighting: z.enum(['examples', 'uniform']).default('examples'),
      weightCap: count.max(2 ** 31).default(10_000),
      server: z
        .strictObject({
          optimizer: z.enum(['fedavg', 'fedavgm']).default('fedavg'),
          learningRate: positive.max(100).default(1),
          /** fedavgm only. */
          momentum: z.number().min(0).lt(1).default(0.9),
        })
        .prefault({}),
    }),
    /** Differential privacy of each node in the whole run; left out, no noise is added. */
    privacy: z
      .strictObject({
        unit: z.literal('node', { error: 'only node: the privacy of a single record is not offered' }).default('node'),
        /** z: standard deviation of the sum's noise over the most that one node can move it. */
        noiseMultiplier: z.number().min(0.01).max(1000),
        /** δ over the whole run. */
        delta: positive.max(0.1).default(1e-5),
        /**
         * The clip norm begins at aggregation.clipNormL2 and follows the median norm of the updates, by a factor of
         * exp(±0.1) a round at most. Whether an update was within it is one more number that leaves with noise of its own;
         * the two together cost what noiseMultiplier says. Takes more than ten times as many nodes as noiseMultiplier.
         */
        adaptiveClipping: z.boolean().default(false),
      })
      .optional(),
    evaluation: z
      .strictObject({
        /**
         * 0: no node is asked for a loss. Else nodes whose policy lets one leave score each adapter on records that they never
         * train on; how many of them, and which, each node decides for itself, and it declines where this share is larger.
         */
        heldOutShare: z.number().min(0).max(0.5).default(0.1),
        /** A sum that makes the model worse on this public file than allowed is not committed. Left out: any finite one is. */
        gate: z
          .strictObject({
            /** Of the file, as `weft run create --gate-data` gave it to the coordinator. */
            dataSha256: hash,
            /** How its bytes become records, as `--data` reads a file with this extension. */
            format: z.enum(gateFormats).default('jsonl'),
            /** The loss may rise by this share of the one before; 0: not at all. */
            greatestIncrease: z.number().min(0).max(10).default(0.02),
          })
          .optional(),
      })
      .prefault({}),
    rounds: count.max(100_000),
    seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
  })
  .superRefine((spec, context) => {
    const reach = spec.cohort.maximum * coordinateCapOf(spec.aggregation.quantizationBits);
    if (!fitsRing(ringBitsFor(reach))) {
      context.addIssue({
        code: 'custom',
        path: ['cohort', 'maximum'],
        message: `the sum could leave the ring: ${spec.cohort.maximum} nodes reach ${reach}, the limit is ${2 ** 31}; lower cohort.maximum or aggregation.quantizationBits`,
      });
    }
    if (spec.aggregation.mode === 'secure') for (const issue of secureIssues(spec)) context.addIssue(issue);
    for (const issue of ruleIssues(spec)) context.addIssue(issue);
    for (const issue of shardRuleIssues(spec)) context.addIssue(issue);
    if (spec.aggregation.secure.publishInputs && !spec.privacy)
      context.addIssue({
        code: 'custom',
        path: ['aggregation', 'secure', 'publishInputs'],
        message:
          'what is published lets anyone recompute the sum, so the nodes must have noised it: add a privacy section',
      });
    if (spec.privacy) for (const issue of privacyIssues(spec)) context.addIssue(issue);
    if (spec.cohort.minimum > spec.cohort.maximum) {
      context.addIssue({
        code: 'custom',
        path: ['cohort', 'minimum'],
        message: `${spec.cohort.minimum} is above cohort.maximum, ${spec.cohort.maximum}`,
      });
    }
  });

/** What each step of a session may take: so long the coordinator waits, and a member keeps its secrets. */
export const secureStepMs = ({ stepSeconds }: RunSpec['aggregation']['secure']): number =>
  Math.ceil(stepSeconds * 1000);

/** Shares of a spec in the ten-thousandths that all members compute with. */
export const secureSizes = ({ colludingShare, droppingShare, leastColluders }: RunSpec['aggregation']['secure']) => ({
  colludingShare: Math.round(colludingShare * 10_000),
  droppingShare: Math.round(droppingShare * 10_000),
  leastColluders,
});

function* secureIssues({ cohort, aggregation }: RunSpec) {
  const issue = (path: string[], message: string) => ({ code: 'custom' as const, path, message });
  if (cohort.maximum > maxCohort) {
    yield issue(
      ['cohort', 'maximum'],
      `${cohort.maximum} nodes; secure aggregation takes ${maxCohort} at most, or set aggregation.mode: plain`,
    );
    return;
  }
  if (cohort.minimum < minCohort) {
    yield issue(
      ['cohort', 'minimum'],
      `${cohort.minimum} is below ${minCohort}: the sum of fewer deltas hides none of them; raise it, or set aggregation.mode: plain`,
    );
    return;
  }
  const { smallestSurvivors, stepSeconds } = aggregation.secure;
  // As much again for whoever is told last.
  const leastSeconds = Math.ceil((2 * tellingMs(cohort.maximum)) / 1000);
  if (cohort.maximum > maxShardMembers && stepSeconds < leastSeconds)
    yield issue(
      ['aggregation', 'secure', 'stepSeconds'],
      `${stepSeconds} s; to tell ${cohort.maximum} members of each other takes half of ${leastSeconds} s at 200 Mbit/s: raise it to that, or lower cohort.maximum`,
    );
  for (const members of tightSizes(cohort)) {
    const sizes = cohortSizes(members, secureSizes(aggregation.secure));
    if ('refusal' in sizes) {
      yield issue(['aggregation', 'secure'], sizes.refusal);
      continue;
    }
    const short = sizes.shards.find(({ threshold, colluders }) => threshold - colluders < smallestSurvivors);
    if (sizes.shards.length > 1 && short) {
      yield issue(
        ['aggregation', 'secure', 'smallestSurvivors'],
        `${smallestSurvivors} members are to survive beyond all that may collude; of ${members} nodes a shard has ${short.members}, of whom ${short.threshold} are sure to stay and ${short.colluders} may collude: lower it, or raise cohort.minimum`,
      );
    }
  }
}

/** Cohorts in which the numbers are tightest: the ends, and wherever another shard begins and all become small. */
function tightSizes({ minimum, maximum }: RunSpec['cohort']): Set<number> {
  const sizes = new Set([minimum, maximum]);
  for (let full = maxShardMembers; full < maximum; full += maxShardMembers) if (full >= minimum) sizes.add(full + 1);
  return sizes;
}

/** Noise protects a node only where nothing else about it leaves, and only the sum of many shares of noise is seen. */
function* privacyIssues({ aggregation, cohort, evaluation, privacy }: RunSpec) {
  const issue = (path: string[], message: string) => ({ code: 'custom' as const, path, message });
  if (privacy?.adaptiveClipping && cohort.minimum <= 10 * privacy.noiseMultiplier) {
    yield issue(
      ['privacy', 'adaptiveClipping'],
      `${cohort.minimum} nodes are too few to adapt the clip norm at a noise multiplier of ${privacy.noiseMultiplier}: it takes more than ${10 * privacy.noiseMultiplier}; raise cohort.minimum, or leave it out`,
    );
  }
  if (aggregation.mode !== 'secure') {
    yield issue(
      ['privacy'],
      'each node adds a share of the noise that is enough for the sum only; in mode plain the coordinator reads each update, so set aggregation.mode: secure',
    );
  }
  if (aggregation.weighting !== 'uniform') {
    yield issue(
      ['aggregation', 'weighting'],
      "the sum of weights would tell of a node's number of examples without noise; with a privacy section set aggregation.weighting: uniform",
    );
  }
  if (evaluation.heldOutShare > 0) {
    yield issue(
      ['evaluation', 'heldOutShare'],
      `the loss on ${evaluation.heldOutShare} of the records would leave each node without noise; with a privacy section set evaluation.heldOutShare: 0`,
    );
  }
  const sizes = cohortSizes(cohort.minimum, secureSizes(aggregation.secure));
  if (aggregation.mode !== 'secure' || 'refusal' in sizes) return;
  const honest = cohort.minimum - sizes.colluders;
  if (honest < aggregation.secure.smallestSurvivors) {
    yield issue(
      ['aggregation', 'secure', 'smallestSurvivors'],
      `${aggregation.secure.smallestSurvivors} honest nodes are to carry the noise; of ${cohort.minimum} nodes ${honest} do when ${sizes.colluders} collude: raise cohort.minimum or lower it`,
    );
  }
}

export type RunSpec = z.infer<typeof runSpecSchema>;
/** A spec as an admin writes it: what has a default may be left out. */
export type RunSpecInput = z.input<typeof runSpecSchema>;

/**
 * @param input parsed YAML or JSON
 * @throws WEFT_SPEC_INVALID that lists every problem: path, rule, value
 */
export function parseRunSpec(input: unknown): RunSpec {
  const parsed = runSpecSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'spec'}: ${message}`);
  throw new WeftError(
    'WEFT_SPEC_INVALID',
    `the run spec has ${problems.length} mistake${problems.length === 1 ? '' : 's'}:\n  ${problems.join('\n  ')}`,
    {
      problems: problems.length,
    },
  );
}

/** The bytes that are hashed, offered to nodes and kept. */
export const runSpecBytes = (spec: RunSpec): Uint8Array => Buffer.from(canonicalJson(spec));

export const hashRunSpec = (spec: RunSpec): Sha256 => sha256(runSpecBytes(spec));

/** RoLoRA's first round must train B: with B = 0 the gradient of A is zero. */
export function trainedFactor(schedule: RunSpec['adapter']['schedule'], round: number): TrainedFactor {
  switch (schedule) {
    case 'rolora':
      return round % 2 === 0 ? 'B' : 'A';
    case 'ffa':
      return 'B';
    case 'fedit':
      return 'both';
  }
}

import { maxQuantizationBits } from './quantization.ts';
import { maxShardMembers } from './secagg/sizes.ts';

/** How the updates of a round become one. All but mean look at single updates, so they belong to aggregation.mode plain. */
export const aggregationRules = [
  'mean',
  'coordinate-median',
  'trimmed-mean',
  'krum',
  'multi-krum',
  'bulyan',
  'geometric-median',
  'norm-bounding',
  'centred-clipping',
] as const;
type AggregationRule = (typeof aggregationRules)[number];

/** Updates that a robust rule may get: what it keeps of n updates grows with n², 8 MiB at this limit. */
const maxRobustNodes = 1024;

/**
 * Fewer updates than this tell nothing of which f of them are hostile.
 * krum, multi-krum: 2f + 3 (Blanchard et al. 2017, Proposition 4.2: 2f + 2 < n).
 * bulyan: 4f + 3 (El Mhamdi et al. 2018, section 4). Others: three, for a middle to be other than the mean.
 */
export function leastUpdates(rule: AggregationRule, byzantine: number): number {
  switch (rule) {
    case 'mean':
    case 'norm-bounding':
    case 'centred-clipping':
      return 1;
    case 'coordinate-median':
    case 'trimmed-mean':
    case 'geometric-median':
      return 3;
    case 'krum':
    case 'multi-krum':
      return 2 * byzantine + 3;
    case 'bulyan':
      return 4 * byzantine + 3;
  }
}

/** trimmed-mean: ⌈β·n⌉ at each end, but never all: with as many hostile, each coordinate lies among the honest ones. */
export const trimmedAtEachEnd = (nodes: number, trimShare: number): number =>
  Math.min(Math.ceil(trimShare * nodes), Math.ceil(nodes / 2) - 1);

/** Shards whose means can be trimmed: of fewer, one at each end leaves hardly more than a median. */
export const leastTrimmedShards = 5;

/** trimmed-mean over shards: ⌊β·G⌋ at each end, one at least, for a single hostile member to be left out; never all. */
export const trimmedShardsAtEachEnd = (shards: number, trimShare: number): number =>
  Math.min(Math.max(1, Math.floor(trimShare * shards)), Math.ceil(shards / 2) - 1);

interface ShardRuleChoice {
  readonly cohort: { readonly minimum: number };
  readonly aggregation: {
    readonly mode: 'secure' | 'plain';
    readonly secure: { readonly shardRule: 'mean' | 'trimmed-mean' };
  };
}

/**
 * What a spec says of its shards that cannot be done. A privacy section changes nothing: every shard's sum is a release
 * with noise enough of its own, whatever is computed from the releases costs no more, and the noise is symmetric.
 */
export function* shardRuleIssues({ cohort, aggregation: { mode, secure } }: ShardRuleChoice) {
  if (secure.shardRule === 'mean') return;
  const issue = (path: string[], message: string) => ({ code: 'custom' as const, path, message });
  if (mode !== 'secure')
    yield issue(
      ['aggregation', 'secure', 'shardRule'],
      `${secure.shardRule} is taken over the shards of secure aggregation, and mode plain has none; set aggregation.rule: trimmed-mean, or aggregation.mode: secure`,
    );
  const shards = Math.ceil(cohort.minimum / maxShardMembers);
  if (shards < leastTrimmedShards)
    yield issue(
      ['cohort', 'minimum'],
      `${cohort.minimum} nodes make ${shards} shard${shards === 1 ? '' : 's'} of at most ${maxShardMembers}, and aggregation.secure.shardRule: ${secure.shardRule} takes ${leastTrimmedShards}; raise it to ${(leastTrimmedShards - 1) * maxShardMembers + 1}, or set shardRule: mean`,
    );
}

interface RuleChoice {
  readonly cohort: { readonly minimum: number; readonly maximum: number };
  readonly aggregation: {
    readonly mode: 'secure' | 'plain';
    readonly rule: AggregationRule;
    readonly weighting: 'examples' | 'uniform';
    readonly quantizationBits: number;
    readonly robust: { readonly byzantine: number };
  };
}

/** What a spec says of its rule that cannot be done, each with what to do. */
export function* ruleIssues({ cohort, aggregation: { mode, rule, weighting, quantizationBits, robust } }: RuleChoice) {
  const issue = (path: string[], message: string) => ({ code: 'custom' as const, path, message });
  if (rule === 'mean') return;
  if (mode === 'secure') {
    yield issue(
      ['aggregation', 'rule'],
      `${rule} looks at each update, and secure aggregation shows the coordinator their sum alone; set aggregation.rule: mean, or aggregation.mode: plain`,
    );
  }
  if (weighting !== 'uniform') {
    yield issue(
      ['aggregation', 'weighting'],
      `${rule} counts each node once, since a hostile node may claim any number of examples; set aggregation.weighting: uniform`,
    );
  }
  if (quantizationBits < maxQuantizationBits) {
    yield issue(
      ['aggregation', 'quantizationBits'],
      `${rule} looks at single coordinates, and updates of ${quantizationBits} bits are rotated; set aggregation.quantizationBits: ${maxQuantizationBits}, or aggregation.rule: mean`,
    );
  }
  const least = leastUpdates(rule, robust.byzantine);
  if (cohort.minimum < least) {
    const against = ['krum', 'multi-krum', 'bulyan'].includes(rule) ? ` against ${robust.byzantine} hostile` : '';
    yield issue(
      ['cohort', 'minimum'],
      `${cohort.minimum} updates are too few for ${rule}${against}, which takes ${least}; raise it, or choose another aggregation.rule`,
    );
  }
  if (cohort.maximum > maxRobustNodes) {
    yield issue(
      ['cohort', 'maximum'],
      `${cohort.maximum} nodes; ${rule} takes ${maxRobustNodes} at most in this version; lower it, or set aggregation.rule: mean`,
    );
  }
}

import { trimmedAtEachEnd, trimmedShardsAtEachEnd } from './aggregation-rules.ts';
import { secureSizes, type RunSpec } from './run-spec.ts';
import { cohortSizes } from './secagg/sizes.ts';
import { updateEncoding, type UpdateEncoding } from './update-encoding.ts';

/** How far one node can move the aggregate of a round, and why no farther. */
export interface LargestBoost {
  /** ‖aggregate with its worst update − aggregate with an honest one‖ at most, in clip norms; null: no bound is known. */
  readonly clipNorms: number | null;
  readonly because: string;
}

/** What a bound depends on, beside the rule. Honest updates have a norm of one clip norm at most. */
export interface BoostCase {
  readonly nodes: number;
  /** L2 norm that a hostile update can have, in clip norms. */
  readonly hostileNorm: number;
  readonly byzantine: number;
  readonly trimShare: number;
  /** In clip norms. */
  readonly radius: number;
  readonly iterations: number;
}

type Rule = Exclude<RunSpec['aggregation']['rule'], 'mean'>;

/** The mean of n where one of them is anything up to `hostileNorm`: (h + 1)/n. */
export const boostOfMean = ({ nodes, hostileNorm }: Pick<BoostCase, 'nodes' | 'hostileNorm'>): LargestBoost => ({
  clipNorms: (hostileNorm + 1) / nodes,
  because: 'its share of the mean',
});

/**
 * Of each coordinate the mean of what is left of n values without t at each end. One value that moves from the lowest place
 * to the highest shifts each value that is kept by one place, so the mean moves by (z₍n−t₎ − z₍t₎)/(n − 2t), z the others
 * in ascending order. At least t of these are as high as z₍n−t₎ and t others as low as z₍t₎; so t·(z₍n−t₎ − z₍t₎)² ≤ 2·Σ z²,
 * and over all coordinates Σ z² ≤ n − 1. [own, by counting; the median is t = ⌈n/2⌉ − 1 of Yin et al. 2018, Definition 1.]
 */
function boostOfTrimming(nodes: number, trimmed: number, hostileNorm: number): LargestBoost {
  if (trimmed < 1) return boostOfMean({ nodes, hostileNorm });
  return {
    clipNorms: Math.sqrt((2 * (nodes - 1)) / trimmed) / (nodes - 2 * trimmed),
    because: `each coordinate leaves out ${trimmed} of ${nodes} values at each end`,
  };
}

/**
 * The mean of m picked by the sum of squared distances to the n − f − 2 closest (Blanchard et al. 2017, section 4). A hostile
 * update that is picked has no larger score than an honest one that is not, and honest ones are 2 from each other at most:
 * so one of its neighbours is within 2, and its norm at most 3. The other m − 1 picked may change altogether, by 2 each:
 * (3 + 1 + 2·(m − 1))/m = 2 + 2/m. [own, from the definition]
 */
const boostOfKrum = (picked: number): LargestBoost => ({
  clipNorms: 2 + 2 / picked,
  because: 'what is picked lies near an honest update',
});

/**
 * Of each rule that looks at single updates.
 *
 * - geometric median: with a share α = 1/n hostile and all others within r of a point, it is within
 *   r·(1 − α)/√(1 − 2α) of that point (Minsker 2015, Lemma 2.1); the point is the origin and r one clip norm. Of the exact
 *   median: after few iterations it may be farther out.
 * - norm-bounding: an update is cut to the radius, so its share of the mean is (R + min(R, 1))/n (Sun et al. 2019, 4.2).
 * - centred clipping: a step v ← v + 1/n Σ clip(xᵢ − v) without the hostile term brings no two points farther apart (it is
 *   a gradient step on a 1-smooth convex loss), and that term differs by 2τ/n at most: 2τ·L/n after L steps (of
 *   Karimireddy et al. 2021, Algorithm 2; [own], and far from tight where L is large).
 * - Bulyan: the paper bounds a coordinate by the honest updates' spread up to constants that it does not give.
 */
export function boostOfRule(rule: Rule, given: BoostCase): LargestBoost {
  const { nodes, hostileNorm, byzantine, trimShare, radius, iterations } = given;
  switch (rule) {
    case 'coordinate-median':
      return boostOfTrimming(nodes, Math.ceil(nodes / 2) - 1, hostileNorm);
    case 'trimmed-mean':
      return boostOfTrimming(nodes, trimmedAtEachEnd(nodes, trimShare), hostileNorm);
    case 'krum':
      return boostOfKrum(1);
    case 'multi-krum':
      return boostOfKrum(nodes - byzantine - 2);
    case 'bulyan':
      return { clipNorms: null, because: 'no bound with its constant is published; `pnpm bench boost` measures it' };
    case 'geometric-median': {
      const share = 1 / nodes;
      const clipNorms = 1 + (1 - share) / Math.sqrt(1 - 2 * share);
      return { clipNorms, because: 'the majority holds the median near it' };
    }
    case 'norm-bounding':
      return {
        clipNorms: (radius + Math.min(radius, 1)) / nodes,
        because: 'each update is cut to the radius before the mean',
      };
    case 'centred-clipping':
      return {
        clipNorms: (2 * radius * iterations) / nodes,
        because: 'each step takes at most the radius from a node',
      };
  }
}

/**
 * The farthest from 0 that the mean of a sum lies if the sum stands the coordinator's test: r, in clip norms. It is
 * ‖Σq‖·w_max/(s·C·W), and with W ≥ n the longest sum of `faultOfSum` makes that 1 + √d·w_max/(s·C), the √d for rounding;
 * with noise (n·c′ + σ·(√d + 12))/(n·s·C), where σ² is n times the variance that a node adds.
 */
function reachOfTested({ grid, noise, offered }: UpdateEncoding, nodes: number): number {
  const clipNorm = grid.scale * offered.clipNormL2;
  const root = Math.sqrt(grid.dim);
  if (!noise) return 1 + (root * offered.weightCap) / clipNorm;
  return (noise.normBound + Math.sqrt(noise.nodeVariance / nodes) * (root + 12)) / clipNorm;
}

/**
 * In mode secure nothing of one update is seen, and each sum is tested: with the hostile member and with an honest one in
 * its place it makes a mean within r of 0, so it moves by 2·r at most.
 *
 * - Of several shards that are added up, one of m of the n members has a share of m/n where each counts once. Where weights
 *   differ, a weight that is not its due gives its shard any share, and 2·r is what is left of the bound.
 * - Trimmed over G shards, a member has one of the G means of each coordinate, each within r of 0: the bound of the trimmed
 *   mean, times r. A shard that it makes the coordinator refuse leaves the G − 1 others, whose mean without the ⌊β·(G − 1)⌋
 *   at each end is what some value among those kept would have made too, so that the same bound holds. [own] It is a
 *   worst case over all that honest shards may be: what bounds the move is the spread of the means that are kept, which
 *   honest shards of many members make far smaller.
 */
function boostUnderMasks(spec: RunSpec, encoding: UpdateEncoding): LargestBoost {
  const { cohort, aggregation } = spec;
  const { secure, robust, weighting } = aggregation;
  const nodes = cohort.minimum;
  const sizes = cohortSizes(nodes, secureSizes(secure));
  const members = 'refusal' in sizes ? [nodes] : sizes.shards.map((shard) => shard.members);
  const shards = members.length;
  // With noise the smallest shard has the most of it in its mean.
  const reach = reachOfTested(encoding, Math.min(...members));
  if (secure.shardRule === 'trimmed-mean') {
    const trimmed = trimmedShardsAtEachEnd(shards, robust.trimShare);
    return {
      clipNorms: reach * boostOfTrimming(shards, trimmed, 1).clipNorms!,
      because: `each coordinate leaves out ${trimmed} of ${shards} shards’ means at each end; by no more than the others differ, \`pnpm bench boost\` measures how far`,
    };
  }
  const withNoise = encoding.noise ? ', with its noise' : '';
  const tested = `a sum that counts for more than all its members could${withNoise} is refused, and one update in it is not seen`;
  if (shards === 1) return { clipNorms: 2 * reach, because: tested };
  if (weighting === 'examples')
    return { clipNorms: 2 * reach, because: `${tested}; any share of ${shards} shards may be its own by weight` };
  const share = Math.max(...members) / nodes;
  return { clipNorms: 2 * reach * share, because: `${tested}, in one of ${shards} shards` };
}

/**
 * What a run's spec lets one node do in a round, at its smallest cohort, where none drops.
 *
 * In mode plain the coordinator takes no update longer than the clip norm and the claimed weight allow, and the rounding on
 * top: a hostile one has a norm of h = 1 + √d/(s·C) clip norms at its largest weight. Where nodes count by examples it may
 * claim w_max among honest ones that claim 1 each: it moves the mean by no more than its own share of it, and the rounding
 * that no weight scales, w_max·√d/(s·C)/n, comes on top. In mode secure the sums are tested, their norm too.
 * @param values coordinates of the trained factor
 */
export function largestBoost(spec: RunSpec, values: number): LargestBoost & { readonly nodes: number } {
  const { aggregation, cohort } = spec;
  const { mode, rule, clipNormL2, weighting, robust } = aggregation;
  const nodes = cohort.minimum;
  const encoding = updateEncoding(spec, values);
  if (mode === 'secure') return { ...boostUnderMasks(spec, encoding), nodes };
  const { grid, offered } = encoding;
  const rounding = Math.sqrt(grid.dim) / (grid.scale * clipNormL2);
  const hostileNorm = 1 + rounding;
  if (rule !== 'mean')
    return { ...boostOfRule(rule, { ...robust, nodes, hostileNorm, radius: robust.radius / clipNormL2 }), nodes };
  if (weighting === 'uniform') return { ...boostOfMean({ nodes, hostileNorm }), nodes };
  return {
    clipNorms: 2 + (offered.weightCap * rounding) / nodes,
    because: 'it may claim the largest weight among small ones, and has no longer update than the clip norm allows',
    nodes,
  };
}

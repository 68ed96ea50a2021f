import { leastTrimmedShards, trimmedShardsAtEachEnd, WeftError } from '@weft/shared';
import { rangesOf } from './rules/by-ranges.ts';
import { trimmedMeanBy } from './rules/coordinate-wise.ts';

/** @throws WEFT_SHARDS_TOO_FEW: fewer than five sums are left after dropouts and refusals, too few to be trimmed */
export function requireTrimmable(left: number, all: number): void {
  if (left < leastTrimmedShards)
    throw new WeftError(
      'WEFT_SHARDS_TOO_FEW',
      `${left} of ${all} sums of shards are left, and their trimmed mean takes ${leastTrimmedShards}`,
    );
}

/**
 * The trimmed mean over shards: of each coordinate the mean of the shards' means without the ⌊β·G⌋ largest and the ⌊β·G⌋
 * smallest, one at least at each end. Single updates are hidden, so a shard is the bucket of Karimireddy et al. 2022
 * (Byzantine-robust learning on heterogeneous datasets via bucketing, Algorithm 1), drawn at random by the members, and
 * the rule on top is the coordinate-wise trimmed mean of Yin et al. 2018, Definition 2. That the buckets are the shards
 * of secure aggregation is an [own] composition. It withstands hostile members in as many shards as are cut at an end.
 * Each shard counts once; a weight that a member lies about moves its own shard's mean and no other.
 *
 * The means are kept as float32, 4·G·d bytes: as much as the sums' ring words. Values are sorted before they are added,
 * so the bits do not depend on the shards' order.
 */
export class ShardMeans {
  readonly #means: Float32Array[] = [];

  /** @param mean [values] of one shard, decoded and back from the rotation */
  add(mean: Float64Array): void {
    this.#means.push(Float32Array.from(mean));
  }

  /** @param trimShare β. @returns [values], float64 */
  trimmedMean(trimShare: number): Float64Array {
    const values = this.#means[0]?.length ?? 0;
    const aggregate = new Float64Array(values);
    const combine = trimmedMeanBy((shards) => trimmedShardsAtEachEnd(shards, trimShare));
    for (const { from, to } of rangesOf(values, this.#means.length))
      combine(
        this.#means.map((mean) => Float64Array.from(mean.subarray(from, to))),
        aggregate.subarray(from, to),
      );
    return aggregate;
  }
}

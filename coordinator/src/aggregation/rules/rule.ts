import type { RunSpec } from '@weft/shared';
import { bulyan } from './bulyan.ts';
import { centredClipping, normBounding } from './clipping.ts';
import { coordinateMedian, trimmedMean } from './coordinate-wise.ts';
import type { Distances } from './distances.ts';
import { geometricMedian } from './geometric-median.ts';
import { krum, multiKrum } from './krum.ts';

export interface RuleSettings {
  readonly rule: RunSpec['aggregation']['rule'];
  readonly robust: RunSpec['aggregation']['robust'];
}

/** One parameter range: `updates` is [nodes][range], the aggregate goes into `aggregate`, [range]. */
export type Combine = (updates: readonly Float64Array[], aggregate: Float64Array) => void;

/** A rule that decides by the distances between whole updates before it combines any range of them. */
export type DistanceRule = (distances: Distances) => Combine;

export type Rule =
  | { readonly looksAt: 'coordinates'; readonly combine: Combine }
  | { readonly looksAt: 'distances'; readonly decide: DistanceRule };

const byDistances = (decide: DistanceRule): Rule => ({ looksAt: 'distances', decide });

/** The mean of all as a rule, each node once: what the others are compared with. Rounds sum in the ring instead. */
const mean: Combine = (updates, aggregate) => weightedSum(updates.map(() => 1 / updates.length))(updates, aggregate);

export function createRule({ rule, robust: { byzantine, trimShare, radius, iterations } }: RuleSettings): Rule {
  switch (rule) {
    case 'mean':
      return { looksAt: 'coordinates', combine: mean };
    case 'coordinate-median':
      return { looksAt: 'coordinates', combine: coordinateMedian };
    case 'trimmed-mean':
      return { looksAt: 'coordinates', combine: trimmedMean(trimShare) };
    case 'krum':
      return byDistances(linear(krum(byzantine)));
    case 'multi-krum':
      return byDistances(linear(multiKrum(byzantine)));
    case 'bulyan':
      return byDistances(bulyan(byzantine));
    case 'geometric-median':
      return byDistances(linear(geometricMedian(iterations)));
    case 'norm-bounding':
      return byDistances(linear(normBounding(radius)));
    case 'centred-clipping':
      return byDistances(linear(centredClipping(radius, iterations)));
  }
}

/** For rules whose aggregate is Σ wᵢ·xᵢ with weights that depend on distances alone. */
const linear =
  (weightsOf: (distances: Distances) => readonly number[]): DistanceRule =>
  (distances) =>
    weightedSum(weightsOf(distances));

const weightedSum =
  (weights: readonly number[]): Combine =>
  (updates, aggregate) => {
    aggregate.fill(0);
    for (const [i, update] of updates.entries()) {
      const weight = weights[i]!;
      if (weight === 0) continue;
      for (let k = 0; k < aggregate.length; k++) aggregate[k]! += weight * update[k]!;
    }
  };

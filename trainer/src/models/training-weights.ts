import { pairsSaturate } from '../devices/pair-sums.ts';
import { type FrozenWeights, frozenWeights } from './frozen-weights.ts';
import { levelRanges } from './level-ranges.ts';
import type { Model } from './model.ts';
import { quantisedWeights } from './quantised-weights.ts';

/** The base weights that a model is trained and scored with: those in int8 or int4 where it has them. */
export const trainingWeights = async ({
  tensors,
  quantised,
}: Pick<Model, 'tensors' | 'quantised'>): Promise<FrozenWeights> =>
  quantised ? quantisedWeights(quantised, levelRanges(await pairsSaturate())) : frozenWeights(tensors);

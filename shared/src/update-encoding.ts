import * as privacy from './privacy/index.ts';
import { ring, ringScale } from './ring.ts';
import type { RunSpec } from './run-spec.ts';

/** What a run's spec and the number of trained values fix about the ring words of an update; both sides work it out. */
export interface UpdateEncoding {
  /** Of the vector that is summed: the values, with padding where they are rotated, and one for the weight. */
  readonly words: number;
  readonly bits: number;
  readonly scale: number;
  readonly clipNormL2: number;
  /** The largest weight that one node may have. */
  readonly weightCap: number;
  readonly noiseMultiplier: number;
  /** Honest survivors that the noise of a sum rests on; a node signs no cut with fewer. */
  readonly noisyHonest: number;
}

/** @throws WEFT_PRIVACY_NOISE_UNFIT */
export function updateEncoding(spec: RunSpec, values: number): UpdateEncoding {
  const { clipNormL2, weighting, weightCap, secure } = spec.aggregation;
  const noise = noiseOf(spec, values);
  return {
    words: (noise?.dim ?? values) + 1,
    bits: ring.bits,
    scale: noise?.scale ?? ringScale(clipNormL2),
    clipNormL2,
    weightCap: weighting === 'uniform' ? 1 : weightCap,
    noiseMultiplier: noise?.noiseMultiplier ?? 0,
    noisyHonest: noise ? secure.smallestSurvivors : 0,
  };
}

/**
 * @returns undefined for a run without noise
 * @throws WEFT_PRIVACY_NOISE_UNFIT
 */
export const noiseOf = (
  { privacy: section, aggregation, cohort }: RunSpec,
  values: number,
): privacy.NoiseSettings | undefined =>
  section &&
  privacy.noiseSettings({
    values,
    clipNormL2: aggregation.clipNormL2,
    noiseMultiplier: section.noiseMultiplier,
    noisyHonest: aggregation.secure.smallestSurvivors,
    nodes: cohort.maximum,
  });

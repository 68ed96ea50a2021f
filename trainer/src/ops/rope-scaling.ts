/** How fast positions turn, in the words of config.json. */
export interface Rope {
  readonly ropeTheta: number;
  readonly ropeScaling?: RopeScaling;
}

/** How rotary frequencies are bent for contexts longer than the model was first trained on. */
export type RopeScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositions: number;
    }
  | {
      readonly type: 'yarn';
      readonly factor: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly originalMaxPositions: number;
      /** Multiplies queries and keys; absent: 0.1·ln(factor) + 1. */
      readonly attentionFactor?: number | undefined;
      /** Whether the ends of the ramp are rounded outwards to whole dimensions. */
      readonly truncate: boolean;
    };

export interface RopeFrequencies {
  /** Radians a position for each of the headDim/2 pairs. */
  readonly perPosition: readonly number[];
  /** Factor of cosines and sines alike. */
  readonly amplitude: number;
}

/** θᵢ = base^(−2i/headDim) (Su et al. 2021, equation 15), scaled. */
export function ropeFrequencies(headDim: number, base: number, scaling?: RopeScaling): RopeFrequencies {
  const plain = Array.from({ length: headDim / 2 }, (_, pair) => base ** ((-2 * pair) / headDim));
  switch (scaling?.type) {
    case undefined:
      return { perPosition: plain, amplitude: 1 };
    case 'linear':
      return { perPosition: plain.map((frequency) => frequency / scaling.factor), amplitude: 1 };
    case 'llama3': {
      // Llama 3.1's models/llama3/reference_impl/model.py, apply_scaling: `kept` is its `smooth`, held within 0 and 1
      const { factor, lowFreqFactor: low, highFreqFactor: high, originalMaxPositions } = scaling;
      const kept = (frequency: number): number =>
        clamp(((originalMaxPositions * frequency) / (2 * Math.PI) - low) / (high - low));
      return { perPosition: plain.map((frequency) => blend(frequency, factor, kept(frequency))), amplitude: 1 };
    }
    case 'yarn': {
      const { factor, attentionFactor = yarnMagnitude(factor) } = scaling;
      const [from, to] = yarnRamp(headDim, base, scaling);
      const kept = (pair: number): number => 1 - clamp((pair - from) / (to - from));
      return {
        perPosition: plain.map((frequency, pair) => blend(frequency, factor, kept(pair))),
        amplitude: attentionFactor,
      };
    }
  }
}

/** Peng et al. 2023, equation 22, as a factor of queries and of keys; DeepSeek's configurations weigh the logarithm. */
export const yarnMagnitude = (factor: number, weight = 1): number => 0.1 * weight * Math.log(Math.max(1, factor)) + 1;

/** Peng et al. 2023, equation 23: the pairs that turn `betaFast` and `betaSlow` times within the original context. */
function yarnRamp(
  headDim: number,
  base: number,
  { betaFast, betaSlow, originalMaxPositions, truncate }: Extract<RopeScaling, { type: 'yarn' }>,
): readonly [from: number, to: number] {
  const pairOf = (turns: number): number =>
    (headDim * Math.log(originalMaxPositions / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const [first, last] = [pairOf(betaFast), pairOf(betaSlow)];
  const from = Math.max(truncate ? Math.floor(first) : first, 0);
  const to = Math.min(truncate ? Math.ceil(last) : last, headDim - 1);
  return from === to ? [from, to + 0.001] : [from, to];
}

/** `kept` of the frequency as it was, the rest slowed down by the factor. */
const blend = (frequency: number, factor: number, kept: number): number =>
  kept * frequency + ((1 - kept) * frequency) / factor;

const clamp = (value: number): number => Math.min(1, Math.max(0, value));

import { type Rope, type RopeScaling, ropeFrequencies } from '../../ops/rope-scaling.ts';
import { type MetadataReader, shortestDecimal, unsupported } from './metadata-reader.ts';

/** The tensor of divisors of the rotary frequencies that llama.cpp's converter computes for Llama 3.1 and later. */
export const ropeFactorsName = 'rope_freqs.weight';

/** What Llama 3.1, 3.2 and 3.3 have in common; they differ in the factor. */
const llama3 = { type: 'llama3', lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 8192 } as const;
/** The table holds float32. */
const tolerance = 1e-5;

const scalingKeys = ['type', 'factor', 'original_context_length', 'finetuned', 'attn_factor'];

/**
 * How positions turn, from the keys `rope.*` and the table of divisors.
 *
 * @param divisors the values of `rope_freqs.weight`, [headDim/2], where the file has it
 */
export function ropeFromGguf(
  keys: MetadataReader,
  headDim: number,
  maxPositions: number,
  divisors: Float32Array | undefined,
): Rope {
  const ropeTheta = keys.real('rope.freq_base', 10_000);
  const scaling = scalingOf(keys, maxPositions);
  if (divisors === undefined) return { ropeTheta, ...(scaling && { ropeScaling: scaling }) };
  if (scaling) throw unsupported('rope_scaling', `the model scales its positions by ${scaling.type} and by a table`);
  const fromTable = scalingOfTable(divisors, headDim, ropeTheta);
  return { ropeTheta, ...(fromTable && { ropeScaling: fromTable }) };
}

function scalingOf(keys: MetadataReader, maxPositions: number): RopeScaling | undefined {
  const type = keys.value('rope.scaling.type') ?? (keys.value('rope.scale_linear') === undefined ? 'none' : 'linear');
  if (type === 'none') return undefined;
  const strange = [...keys.keysBelow('rope.scaling.')].find((key) => !scalingKeys.includes(key));
  if (strange !== undefined) throw unsupported('rope_scaling', `the model uses rope.scaling.${strange.slice(0, 40)}`);
  const factor = keys.real('rope.scaling.factor', keys.real('rope.scale_linear', 1));
  if (factor < 1) throw unsupported('rope_scaling', `the model uses rope_scaling by ${factor}, which is below 1`);
  switch (type) {
    case 'linear':
      return factor === 1 ? undefined : { type, factor };
    case 'yarn': {
      const amplitude = keys.real('rope.scaling.attn_factor', 1);
      return {
        type,
        factor,
        betaFast: 32,
        betaSlow: 1,
        originalMaxPositions: keys.whole('rope.scaling.original_context_length', maxPositions),
        ...(amplitude !== 1 && { attentionFactor: amplitude * (0.1 * Math.log(factor) + 1) }),
        truncate: true,
      };
    }
    default:
      throw unsupported('rope_scaling', `the model uses rope_scaling of type ${String(type).slice(0, 40)}`);
  }
}

/** The rule behind the table. One that Llama 3's rule does not make is refused: a config.json could not say it. */
function scalingOfTable(divisors: Float32Array, headDim: number, theta: number): RopeScaling | undefined {
  if (divisors.every((divisor) => divisor === 1)) return undefined;
  const scaling: RopeScaling = { ...llama3, factor: shortestDecimal(Math.max(...divisors)) };
  const plain = ropeFrequencies(headDim, theta).perPosition;
  const scaled = ropeFrequencies(headDim, theta, scaling).perPosition;
  const isThatOf = plain.every((frequency, pair) => {
    const expected = frequency / (scaled[pair] ?? Number.NaN);
    return Math.abs((divisors[pair] ?? Number.NaN) / expected - 1) < tolerance;
  });
  if (divisors.length === plain.length && isThatOf) return scaling;
  throw unsupported('rope_scaling', `${ropeFactorsName} is not the table of Llama 3's scaling`);
}

import { WeftError } from '../errors/weft-error.ts';
import { l2Norm, type QuantizedUpdate } from '../quantization.ts';
import { createSecretRandom, drawSkellam, type SecretRandom } from './noise.ts';
import type { NoiseSettings } from './noise-settings.ts';
import { rotate } from './rotation.ts';
import { skellamTable } from './skellam-table.ts';

/** A draw fails with probability below e^−½: 64 in a row below 2⁻⁴⁶. */
const maxDraws = 64;

/**
 * clip to C in L2 → rotate → scale → saturate → round until ‖q‖² ≤ c′² holds on the integers → noise.
 * Every node counts as one: w = w_max = 1 (Kairouz, Liu, Steinke 2021, algorithm 1, with Skellam noise).
 * @param delta adapter after local training − adapter before
 * @param key 32 bytes from the system's generator, for this update alone
 * @returns coordinates with this node's noise; undefined where a value is NaN or infinite
 * @throws WEFT_PRIVACY_ROUNDING where no rounding stays within c′
 */
export function encodeNoisyUpdate(
  delta: Float32Array,
  settings: NoiseSettings,
  { rotationSeed, key }: { rotationSeed: string; key: Uint8Array },
): QuantizedUpdate | undefined {
  const { clipNormL2, scale, coordinateCap, normBound, nodeVariance } = settings;
  if (delta.length !== settings.values)
    throw new RangeError(`${delta.length} values where ${settings.values} are encoded`);
  const normL2 = l2Norm(delta);
  if (!Number.isFinite(normL2)) return undefined;
  const clipped = normL2 > clipNormL2;
  const factor = scale * (clipped ? clipNormL2 / normL2 : 1);
  let saturatedValues = 0;
  const scaled = rotate(delta, rotationSeed).map((value) => {
    const kept = Math.max(-coordinateCap, Math.min(coordinateCap, value * factor));
    if (kept !== value * factor) saturatedValues++;
    return kept;
  });
  const random = createSecretRandom(key);
  const coordinates = roundWithin(scaled, normBound, random);
  const table = skellamTable(nodeVariance);
  for (let i = 0; i < coordinates.length; i++) coordinates[i]! += drawSkellam(table, random);
  return { coordinates, normL2, clipped, saturatedValues };
}

/**
 * Stochastic rounding floor(y + u), drawn again while ‖q‖² > c′². The test is exact: the sum of squares is an integer
 * below 2⁵³, and the sensitivity rests on it alone, whatever float64 did before.
 */
export function roundWithin(scaled: Float64Array, normBound: number, random: SecretRandom): Int32Array {
  const rounded = new Int32Array(scaled.length);
  for (let draw = 0; draw < maxDraws; draw++) {
    let squares = 0;
    for (let i = 0; i < scaled.length; i++) {
      const value = Math.floor(scaled[i]! + random.uniform());
      rounded[i] = value;
      squares += value * value;
    }
    if (squares <= normBound * normBound) return rounded;
  }
  throw new WeftError(
    'WEFT_PRIVACY_ROUNDING',
    `rounding left the norm ${normBound.toFixed(1)} in each of ${maxDraws} draws: no update is sent in this round`,
  );
}

import { createSeededRandom } from '../random.ts';

/** Values of one block: what lies in one coordinate is spread over so many. */
export const rotationBlock = 1024;

/** d: values of the rotated vector, padded with zeros to whole blocks. */
export const rotatedLength = (values: number): number => Math.ceil(values / rotationBlock) * rotationBlock;

/** Another rotation in each round, the same for all. */
export const rotationSeed = (runId: string, round: number): string => `weft/1/rotation/${runId}/${round}`;

/**
 * y = H·D·x / √1024 in each block, H the Hadamard matrix in Sylvester's order, D signs from a public seed: orthogonal,
 * so the L2 norm stays (Suresh, Yu, Kumar, McMahan 2017, Distributed mean estimation, section 3).
 * @param values any length
 * @returns [rotatedLength(values.length)]
 */
export function rotate(values: ArrayLike<number>, seed: string): Float64Array {
  const rotated = new Float64Array(rotatedLength(values.length));
  for (let i = 0; i < values.length; i++) rotated[i] = values[i]!;
  applySigns(rotated, seed);
  hadamard(rotated);
  return rotated;
}

/** Back: x = D·H·y / √1024. @returns the first `length` values */
export function unrotate(rotated: Float64Array, seed: string, length: number): Float64Array {
  const values = rotated.slice();
  hadamard(values);
  applySigns(values, seed);
  return values.slice(0, length);
}

function applySigns(values: Float64Array, seed: string): void {
  const random = createSeededRandom(seed);
  for (let start = 0; start < values.length; start += 32) {
    const signs = random.uint32();
    for (let bit = 0; bit < 32; bit++) if ((signs >>> bit) & 1) values[start + bit]! *= -1;
  }
}

const unit = 1 / Math.sqrt(rotationBlock);

/** In place, block by block: ten passes of butterflies over 1024 values each. */
function hadamard(values: Float64Array): void {
  for (let start = 0; start < values.length; start += rotationBlock) {
    for (let half = 1; half < rotationBlock; half *= 2) {
      for (let pair = 0; pair < rotationBlock; pair += 2 * half) {
        for (let i = start + pair; i < start + pair + half; i++) {
          const a = values[i]!;
          const b = values[i + half]!;
          values[i] = a + b;
          values[i + half] = a - b;
        }
      }
    }
  }
  for (let i = 0; i < values.length; i++) values[i]! *= unit;
}

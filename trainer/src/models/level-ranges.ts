/** How finely rows are quantised for a product that sums over `k` of them: see RowLevels. */
export interface LevelRanges {
  readonly signed: (k: number) => number;
  readonly unsigned: (k: number) => number;
}

const largestWeightLevel = 127;
const largestSum = 2 ** 31 - 1;

/**
 * A sum of k products must fit int32, and where the processor multiplies bytes by pairs (x86 without VNNI), a pair of
 * products must fit int16: 2·127·127 does, 2·255·127 would be cut off without a word. Signed levels stand around a zero
 * point, so that the byte is up to twice the range.
 */
export const levelRanges = (pairsSaturate: boolean): LevelRanges => {
  const limit = (k: number): number => Math.floor(largestSum / (largestWeightLevel * k));
  return {
    signed: (k) => Math.min(pairsSaturate ? 63 : 127, limit(k)),
    unsigned: (k) => Math.min(pairsSaturate ? 127 : 255, limit(k)),
  };
};

import { createSeededRandom } from '@weft/shared';

export const promptTokens = 128;
export const madeTokens = 64;

/** The prompt of a turn; no two begin alike, so that nobody has one in a cache. */
export function promptOf(turn: number, vocabSize: number): number[] {
  const random = createSeededRandom(`bench/generate/${turn}`);
  return Array.from({ length: promptTokens }, () => Math.floor(random.uniform() * vocabSize));
}

import { randomBytes, randomInt } from 'node:crypto';
import type { SeededRandom } from '@weft/shared';

/** The system's generator in the shape of a seeded one. */
export const systemRandom: SeededRandom = {
  uint32: () => randomBytes(4).readUInt32LE(),
  uniform: () => ((randomBytes(4).readUInt32LE() >>> 5) * 2 ** 26 + (randomBytes(4).readUInt32LE() >>> 6)) / 2 ** 53,
  integer: (below) => randomInt(below),
};

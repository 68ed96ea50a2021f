import { createCipheriv } from 'node:crypto';
import type { SkellamTable } from './skellam-table.ts';

/** Uniform 32-bit words: AES-256-CTR with a zero IV under a key that is used once and never leaves the node. */
export interface SecretRandom {
  uint32(): number;
  /** In [0, 1), with 53 bits: for rounding, never for noise. */
  uniform(): number;
}

const pieceBytes = 16 * 1024;
const zeros = Buffer.alloc(pieceBytes);

/** @param key 32 bytes from the system's generator */
export function createSecretRandom(key: Uint8Array): SecretRandom {
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  let piece: Buffer = Buffer.alloc(0);
  let at = 0;
  const uint32 = (): number => {
    if (at === piece.length) {
      piece = cipher.update(zeros);
      at = 0;
    }
    at += 4;
    return piece.readUInt32LE(at - 4);
  };
  return { uint32, uniform: () => ((uint32() >>> 5) * 2 ** 26 + (uint32() >>> 6)) / 2 ** 53 };
}

/** One value by inversion: |X| is the first k with u < P[|X| ≤ k]·2¹²⁸, u of 128 bits; then a sign. Integers only. */
export function drawSkellam({ cumulative: [first, second, third, fourth], cut }: SkellamTable, random: SecretRandom) {
  const a = random.uint32();
  const b = random.uint32();
  const c = random.uint32();
  const d = random.uint32();
  const isBelow = (k: number): boolean => {
    if (a !== first[k]!) return a < first[k]!;
    if (b !== second[k]!) return b < second[k]!;
    if (c !== third[k]!) return c < third[k]!;
    return d < fourth[k]!;
  };
  let low = 0;
  let high = cut;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBelow(middle)) high = middle;
    else low = middle + 1;
  }
  return (random.uint32() & 1) === 0 ? low : 0 - low;
}

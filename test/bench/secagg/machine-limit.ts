import { createCipheriv } from 'node:crypto';
import process from 'node:process';
import { secagg } from '@weft/shared';

/** How near the masks come to the machine's own limit: AES-256-CTR, and nothing done with what it generates. */
export interface MaskRates {
  /** Bytes a second of CPU time. */
  readonly generatorAlone: number;
  readonly added: readonly { readonly bits: number; readonly bytesPerS: number }[];
}

const words = 2 ** 20;
const pieceBytes = 128 * 1024;
const terms: readonly secagg.MaskTerm[] = Array.from({ length: 32 }, (_, k) => ({
  seed: new Uint8Array(32).fill(k),
  sign: k % 2 === 0 ? 1 : -1,
}));
const rings = [32, 16, 8];
const rounds = 4;

/** In turns, so that a change of the machine's load meets all of them. The first round warms up and does not count. */
export function measureMaskRates(): MaskRates {
  const vectors = rings.map((bits) => ({ bits, vector: secagg.ringWords(bits, words), spent: 0 }));
  let alone = 0;
  for (let round = 0; round <= rounds; round++) {
    const counts = round > 0 ? 1 : 0;
    alone += counts * cpuOf(() => generate(terms.length * words * 4));
    for (const ring of vectors) ring.spent += counts * cpuOf(() => secagg.addMasks(ring.vector, terms));
  }
  return {
    generatorAlone: (rounds * terms.length * words * 4) / alone,
    added: vectors.map(({ bits, vector, spent }) => ({
      bits,
      bytesPerS: (rounds * terms.length * vector.byteLength) / spent,
    })),
  };
}

function generate(bytes: number): void {
  const cipher = createCipheriv('aes-256-ctr', new Uint8Array(32), new Uint8Array(16));
  const none = new Uint8Array(pieceBytes);
  for (let done = 0; done < bytes; done += pieceBytes) cipher.update(none).buffer.transfer(0);
}

function cpuOf(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

export function againstTheMachine({ generatorAlone, added }: MaskRates): string {
  const parts = added.map(({ bits, bytesPerS }) => `${(bytesPerS / generatorAlone).toFixed(2)} (${bits} bits)`);
  return `AES-256-CTR alone: ${(generatorAlone / 1e9).toFixed(1)} GB a second of CPU; masks are added at this part of it: ${parts.join(', ')}`;
}

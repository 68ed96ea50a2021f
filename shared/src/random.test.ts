import { createCipheriv, createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { createSeededRandom } from './random.ts';

it('is AES-256-CTR under the hashed seed, as little-endian words', () => {
  const key = createHash('sha256').update('weft/1/random\0seed').digest();
  const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(200_000));
  const random = createSeededRandom('seed');
  for (let i = 0; i < 50_000; i++) {
    if (random.uint32() !== stream.readUInt32LE(4 * i)) throw new Error(`word ${i} differs`);
  }
});

it('gives uniform numbers below one, and integers of every residue', () => {
  const random = createSeededRandom('uniform');
  const uniforms = Array.from({ length: 10_000 }, () => random.uniform());
  expect(Math.min(...uniforms)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...uniforms)).toBeLessThan(1);
  expect(Math.abs(uniforms.reduce((sum, value) => sum + value, 0) / 10_000 - 0.5)).toBeLessThan(0.015);
  const counts = new Array<number>(7).fill(0);
  for (let i = 0; i < 7000; i++) counts[random.integer(7)]!++;
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
});

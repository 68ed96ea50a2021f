import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findPython, skips } from '../../../test/conformance/python.ts';
import { createIdentity, verifySignature } from '../identity.ts';
import { agree, hkdf, openSealed, seal } from './keys.ts';
import { addMask, ringWords } from './mask.ts';

// Vectors that others published: NIST's and the RFCs' as the PyPI package cryptography-vectors carries them.

const python = findPython(['cryptography_vectors']);

const folder = (): string => {
  const script = 'import cryptography_vectors, os; print(os.path.dirname(cryptography_vectors.__file__))';
  return spawnSync(python!, ['-c', script], { encoding: 'utf8' }).stdout.trim();
};
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const hex = (data: Uint8Array | undefined): string => Buffer.from(data ?? []).toString('hex');

/** Blocks of `NAME = value` lines; names in lower case. */
const blocksOf = (path: string): Record<string, string>[] =>
  readFileSync(join(folder(), path), 'utf8')
    .split(/\r?\n\r?\n/)
    .map((block) =>
      Object.fromEntries(
        Array.from(block.matchAll(/^(\w+) *= *(\S*)\r?$/gm), ([, name, value]) => [name!.toLowerCase(), value!]),
      ),
    );

describe.skipIf(skips('conformance', { python }))('published vectors', () => {
  it('of RFC 7748, section 5.2, hold for X25519', () => {
    const vectors = blocksOf('asymmetric/X25519/rfc7748.txt').filter((block) => block['output_u']);
    expect(vectors.length).toBeGreaterThanOrEqual(2);
    for (const vector of vectors)
      expect(hex(agree(bytes(vector['input_scalar']!), bytes(vector['input_u']!)))).toBe(vector['output_u']);
  });

  it('of RFC 5869 hold for HKDF-SHA256', () => {
    const blocks = readFileSync(join(folder(), 'KDF/rfc-5869-HKDF-SHA256.txt'), 'utf8').split('COUNT').slice(1);
    expect(blocks).toHaveLength(3);
    for (const block of blocks) {
      const of = (name: string): string => new RegExp(String.raw`^${name} *= *(\S*)`, 'm').exec(block)?.[1] ?? '';
      const okm = hkdf(bytes(of('IKM')), bytes(of('salt')), bytes(of('info')), Number(of('L')));
      expect(hex(okm)).toBe(of('OKM'));
    }
  });

  it("of Ed25519's authors hold for signing and for judging", () => {
    const lines = readFileSync(join(folder(), 'asymmetric/Ed25519/sign.input'), 'utf8').trim().split('\n');
    expect(lines).toHaveLength(1024);
    // every eighth: messages of 0 to 1,023 bytes
    for (const line of lines.filter((_, k) => k % 8 === 0)) {
      const [secret, publicKey, message, signed] = line.split(':') as [string, string, string, string];
      const { identity } = createIdentity(bytes(secret.slice(0, 64)));
      expect(hex(identity.publicKey)).toBe(publicKey);
      const signature = identity.sign(bytes(message));
      expect(hex(signature) + message).toBe(signed);
      expect(verifySignature(bytes(publicKey), bytes(message), signature)).toBe(true);
      signature[40]! ^= 1;
      expect(verifySignature(bytes(publicKey), bytes(message), signature)).toBe(false);
    }
  });

  it("of NIST's AESAVS hold for the first block of a mask: AES-256 of the zero block, for each key", () => {
    const vectors = blocksOf('ciphers/AES/ECB/ECBVarKey256.rsp').filter((block) => block['ciphertext']);
    expect(vectors.length).toBeGreaterThanOrEqual(256);
    for (const vector of vectors) {
      expect(vector['plaintext']).toBe('00'.repeat(16));
      const words = ringWords(8, 16);
      addMask(words, bytes(vector['key']!), 1);
      expect(hex(words as Uint8Array)).toBe(vector['ciphertext']);
    }
  });
});

describe('the seal', () => {
  it('is test cases 13 and 14 of McGrew and Viega, The Galois/Counter Mode of Operation', () => {
    const key = new Uint8Array(32);
    expect(hex(seal(key, new Uint8Array(0)))).toBe('530f8afbc74536b9a963b4f1c4cb738b');
    const sealed = seal(key, new Uint8Array(16));
    expect(hex(sealed)).toBe('cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919');
    expect(hex(openSealed(key, sealed))).toBe('00'.repeat(16));
  });
});

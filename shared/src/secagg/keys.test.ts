import { describe, expect, it } from 'vitest';
import { agree, hkdf, isUsableKey, keyPairOf, openSealed, seal, x25519PublicKey } from './keys.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const hex = (data: Uint8Array | undefined): string => Buffer.from(data ?? []).toString('hex');

describe('keys of a session', () => {
  it('agrees as RFC 7748, section 6.1', () => {
    const alice = keyPairOf(bytes('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'));
    const bob = keyPairOf(bytes('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'));
    expect(hex(alice.publicKey)).toBe('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
    expect(hex(bob.publicKey)).toBe('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
    expect(hex(agree(alice.secret, bob.publicKey))).toBe(
      '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742',
    );
    expect(agree(alice.secret, bob.publicKey)).toEqual(agree(bob.secret, alice.publicKey));
  });

  it('derives test case 1 of RFC 5869', () => {
    const okm = hkdf(bytes('0b'.repeat(22)), bytes('000102030405060708090a0b0c'), bytes('f0f1f2f3f4f5f6f7f8f9'), 42);
    expect(hex(okm)).toBe('3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865');
  });

  it('refuses points of small order', () => {
    const secret = bytes('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb');
    for (const point of [
      '00'.repeat(32),
      `01${'00'.repeat(31)}`,
      'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    ])
      expect(agree(secret, bytes(point))).toBeUndefined();
  });

  it('takes each key in its one encoding, and none of small order', () => {
    const p = 2n ** 255n - 19n;
    const encoded = (number: bigint): Uint8Array => bytes(number.toString(16).padStart(64, '0')).toReversed();
    const secrets = Array.from({ length: 16 }, (_, k) => new Uint8Array(32).fill(k + 1));
    for (const secret of secrets) {
      const key = x25519PublicKey(secret);
      expect(isUsableKey(key)).toBe(true);
      expect(isUsableKey(key.with(31, key[31]! | 0x80))).toBe(false);
    }
    // Agreeing tells what is of small order: of the smallest and greatest numbers only 0, 1 and p − 1.
    for (const number of [...Array(20).keys()].map(BigInt).flatMap((k) => [k, p - 1n - k]))
      expect([number, isUsableKey(encoded(number))]).toEqual([
        number,
        agree(secrets[0]!, encoded(number)) !== undefined,
      ]);
    for (let number = p; number < 2n ** 255n; number++) expect(isUsableKey(encoded(number))).toBe(false);
    for (const byte of [1, 15, 30]) expect(isUsableKey(encoded(p + 18n).with(byte, 0xfe))).toBe(true);
  });

  it('opens what was sealed and nothing that was touched', () => {
    const key = x25519PublicKey(new Uint8Array(32).fill(7));
    const sealed = seal(key, bytes('00'.repeat(64)));
    expect(sealed).toHaveLength(80);
    expect(hex(openSealed(key, sealed))).toBe('00'.repeat(64));
    for (let i = 0; i < sealed.length; i++) {
      const touched = Uint8Array.from(sealed);
      touched[i]! ^= 1;
      expect(openSealed(key, touched)).toBeUndefined();
    }
    expect(openSealed(key, sealed.subarray(0, 15))).toBeUndefined();
    expect(openSealed(key, sealed.subarray(0, 79))).toBeUndefined();
  });
});

import nacl from 'tweetnacl';
import { describe, expect, it } from 'vitest';
import { createIdentity, toNodeId, verifySignature } from './identity.ts';

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

describe('identity', () => {
  it('signs the vectors of RFC 8032, section 7.1', () => {
    const vectors = [
      {
        seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
        publicKey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
        message: '',
        signature:
          'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
      },
      {
        seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
        publicKey: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
        message: '72',
        signature:
          '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
      },
    ];
    for (const vector of vectors) {
      const { identity } = createIdentity(hex(vector.seed));
      expect(Buffer.from(identity.publicKey).toString('hex')).toBe(vector.publicKey);
      expect(Buffer.from(identity.sign(hex(vector.message))).toString('hex')).toBe(vector.signature);
    }
  });

  it('agrees with tweetnacl on signatures made by either side', () => {
    for (let length = 0; length < 64; length += 7) {
      const { identity, seed } = createIdentity();
      const message = nacl.randomBytes(length);
      const pair = nacl.sign.keyPair.fromSeed(seed);
      expect(nacl.sign.detached.verify(message, identity.sign(message), identity.publicKey)).toBe(true);
      expect(verifySignature(pair.publicKey, message, nacl.sign.detached(message, pair.secretKey))).toBe(true);
    }
  });

  it('refuses a flipped bit, another key and lengths that are off', () => {
    const { identity } = createIdentity();
    const message = nacl.randomBytes(10);
    const signature = identity.sign(message);
    for (const at of [0, 31, 32, 63]) {
      const forged = Uint8Array.from(signature);
      forged[at]! ^= 1;
      expect(verifySignature(identity.publicKey, message, forged)).toBe(false);
    }
    expect(verifySignature(createIdentity().identity.publicKey, message, signature)).toBe(false);
    expect(verifySignature(identity.publicKey, message, signature.slice(0, 63))).toBe(false);
    expect(verifySignature(new Uint8Array(31), message, signature)).toBe(false);
  });

  it('names a node by its key', () => {
    expect(toNodeId(hex('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'))).toBe(
      'n_21fe31dfa154a261626bf854046fd227',
    );
  });
});

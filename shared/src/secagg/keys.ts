import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
} from 'node:crypto';

/** An X25519 key pair (RFC 7748), fresh for each session. 32 bytes each. */
export interface KeyPair {
  readonly secret: Uint8Array;
  readonly publicKey: Uint8Array;
}

// RFC 8410: the fixed DER in front of a raw X25519 secret and of a raw public key.
const pkcs8Prefix = Buffer.from('302e020100300506032b656e04220420', 'hex');
const spkiPrefix = Buffer.from('302a300506032b656e032100', 'hex');

const toPrivateKey = (secret: Uint8Array) =>
  createPrivateKey({ key: Buffer.concat([pkcs8Prefix, secret]), format: 'der', type: 'pkcs8' });

/** The public key of 32 secret bytes. */
export const x25519PublicKey = (secret: Uint8Array): Uint8Array =>
  Uint8Array.from(
    createPublicKey(toPrivateKey(secret)).export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length),
  );

export const keyPairOf = (secret: Uint8Array): KeyPair => ({ secret, publicKey: x25519PublicKey(secret) });

/** @returns undefined where the result is zero: the other side sent a point of small order (RFC 7748, section 6.1) */
export type Agree = (otherPublicKey: Uint8Array) => Uint8Array | undefined;

/** One secret with many others: reading it takes as long as agreeing, since its public key is worked out, and is done once. */
export function agreeWith(secret: Uint8Array): Agree {
  const privateKey = toPrivateKey(secret);
  return (otherPublicKey) => {
    const publicKey = createPublicKey({
      key: Buffer.concat([spkiPrefix, otherPublicKey]),
      format: 'der',
      type: 'spki',
    });
    try {
      const shared = diffieHellman({ privateKey, publicKey });
      return shared.some((byte) => byte !== 0) ? shared : undefined;
    } catch {
      return undefined;
    }
  };
}

export const agree = (secret: Uint8Array, otherPublicKey: Uint8Array): ReturnType<Agree> =>
  agreeWith(secret)(otherPublicKey);

/**
 * Points whose order divides 8, of the curve (0, 1, two of order 8) and of its twist (0, p − 1): whoever agrees on one has
 * zero, whatever its secret.
 */
const smallOrder: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/**
 * Below p = 2²⁵⁵ − 19, and of no small order. X25519 itself reads p + 2 as 2 and drops the highest bit (RFC 7748, section
 * 5): one key would have several encodings, and one member could pass for two.
 */
export function isUsableKey(publicKey: Uint8Array): boolean {
  const least = publicKey[0]!;
  const greatest = publicKey[31]!;
  const isBelow =
    greatest < 0x7f || (greatest === 0x7f && (least < 0xed || publicKey.subarray(1, 31).some((byte) => byte < 0xff)));
  return isBelow && !smallOrder.has(Buffer.from(publicKey).toString('hex'));
}

/** HKDF-SHA256 (RFC 5869), 32 bytes unless told. */
export const hkdf = (secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length = 32): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', secret, salt, info, length));

/** A label and places in the roster, each as u32, big-endian: what tells one derived key from another. */
export function keyInfo(label: string, ...places: number[]): Uint8Array {
  const numbers = Buffer.alloc(4 * places.length);
  places.forEach((place, k) => numbers.writeUInt32BE(place, 4 * k));
  return Buffer.concat([Buffer.from(label), numbers]);
}

/** Directional, for the one ciphertext from `from` to `to`. */
export const shareKey = (agreed: Uint8Array, sessionId: Uint8Array, from: number, to: number): Uint8Array =>
  hkdf(agreed, sessionId, keyInfo('weft/1/share', from, to));

/** The same on both sides. */
export const maskSeed = (agreed: Uint8Array, sessionId: Uint8Array, one: number, other: number): Uint8Array =>
  hkdf(agreed, sessionId, keyInfo('weft/1/mask', Math.min(one, other), Math.max(one, other)));

export const selfMaskSeed = (selfSecret: Uint8Array, sessionId: Uint8Array, place: number): Uint8Array =>
  hkdf(selfSecret, sessionId, keyInfo('weft/1/self', place));

const tagBytes = 16;
// Each share key seals one plaintext, so the nonce need not differ.
const nonce = Buffer.alloc(12);

/** AES-256-GCM, ciphertext ‖ tag. The key must seal nothing else, ever. */
export function seal(key: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** @returns undefined where the tag does not hold */
export function openSealed(key: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < tagBytes) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
  const plaintext = decipher.update(sealed.subarray(0, sealed.length - tagBytes));
  try {
    return Buffer.concat([plaintext, decipher.final()]);
  } catch {
    return undefined;
  }
}

/** SHA-256 over a label that ends in a zero byte and the parts behind it. */
export function digest(label: string, ...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha256').update(`${label}\0`);
  for (const part of parts) hash.update(part);
  return hash.digest();
}

export const sha256Bytes = (data: Uint8Array): Uint8Array => createHash('sha256').update(data).digest();

import {
  createPrivateKey,
  createPublicKey,
  sign as signBytes,
  verify as verifyBytes,
  type KeyObject,
} from 'node:crypto';
import nacl from 'tweetnacl';
import { sha256 } from './hash.ts';
import type { FederationId, NodeId, Sha256 } from './ids.ts';

/** An Ed25519 key pair (RFC 8032). The seed is the only secret; it never leaves the process that made it. */
export interface Identity {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** SHA-256 of the public key. */
  readonly keyId: Sha256;
  /** 64 bytes over exactly these bytes. */
  sign(message: Uint8Array): Uint8Array;
}

/**
 * @param seed 32 bytes; fresh from the system's generator where it is left out
 * @returns the identity and the seed to keep (file mode 0600)
 */
export function createIdentity(seed: Uint8Array = nacl.randomBytes(32)): { identity: Identity; seed: Uint8Array } {
  const { publicKey } = nacl.sign.keyPair.fromSeed(seed);
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
  return {
    identity: { publicKey, keyId: sha256(publicKey), sign: (message) => signBytes(null, message, key) },
    seed,
  };
}

/** False for a wrong length, a point that is not on the curve, or a signature that does not hold; never throws. */
export function verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  try {
    return verifyBytes(null, message, toKeyObject(publicKey), signature);
  } catch {
    return false;
  }
}

export const toNodeId = (publicKey: Uint8Array): NodeId => `n_${sha256(publicKey).slice(0, 32)}` as NodeId;

export const toFederationId = (coordinatorKey: Uint8Array): FederationId =>
  `f_${sha256(coordinatorKey).slice(0, 32)}` as FederationId;

// RFC 8410: the fixed DER in front of a raw Ed25519 seed and of a raw public key.
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/** SubjectPublicKeyInfo as text (RFC 7468), with its last line end: what other tools read an Ed25519 key from. */
export const ed25519Pem = (publicKey: Uint8Array): string =>
  toKeyObject(publicKey).export({ format: 'pem', type: 'spki' }).toString();

const toKeyObject = (publicKey: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.concat([spkiPrefix, publicKey]), format: 'der', type: 'spki' });

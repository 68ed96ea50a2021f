import { createPrivateKey, createPublicKey, sign as signBytes, verify as verifyBytes,                } from 'node:crypto';
import nacl from 'tweetnacl';
import { sha256 } from './hash.js';
                                                             

/** An Ed25519 key pair (RFC 8032). The seed is the only secret; it never leaves the process that made it. */
                           
                  
                                 
                                   
                         
                                           
                                        
 

/**
 * @param seed 32 bytes; fresh from the system's generator where it is left out
 * @returns the identity and the seed to keep (file mode 0600)
 */
export function createIdentity(seed             = nacl.randomBytes(32))                                           {
  const { publicKey } = nacl.sign.keyPair.fromSeed(seed);
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
  return {
    identity: { publicKey, keyId: sha256(publicKey), sign: (message) => signBytes(null, message, key) },
    seed,
  };
}

/** False for a wrong length, a point that is not on the curve, or a signature that does not hold; never throws. */
export function verifySignature(publicKey            , message            , signature            )          {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  try {
    return verifyBytes(null, message, toKeyObject(publicKey), signature);
  } catch {
    return false;
  }
}

export const toNodeId = (publicKey            )         => `n_${sha256(publicKey).slice(0, 32)}`          ;

export const toFederationId = (coordinatorKey            )               =>
  `f_${sha256(coordinatorKey).slice(0, 32)}`                ;

// RFC 8410: the fixed DER in front of a raw Ed25519 seed and of a raw public key.
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

const toKeyObject = (publicKey            )            =>
  createPublicKey({ key: Buffer.concat([spkiPrefix, publicKey]), format: 'der', type: 'spki' });

import { WeftError } from './errors/weft-error.ts';
import { verifySignature, type Identity } from './identity.ts';
import type { Sha256 } from './ids.ts';

/**
 * A publisher's word that a base model is its own: a name in a run spec is only the coordinator's word, the signature of
 * a key that the operator knows is the publisher's. One line of text, for a file beside the model.
 */

const textPrefix = 'weftmodel1_';
const hashBytes = 32;
const keyBytes = 32;
const signatureBytes = 64;

export interface ModelStatement {
  /** Of the base model. */
  readonly sha256: Sha256;
  /** The publisher's Ed25519 key in hex. */
  readonly publisher: string;
}

/** "weft/1/base-model" ‖ 0x00 ‖ the model's hash. */
const signedModel = (modelSha256: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from('weft/1/base-model\0'), modelSha256]);

/** @returns one line: the model's hash, the publisher's key, its signature; base64url behind a prefix */
export function signModel(publisher: Identity, modelSha256: Sha256): string {
  const hash = Buffer.from(modelSha256, 'hex');
  const bytes = Buffer.concat([hash, publisher.publicKey, publisher.sign(signedModel(hash))]);
  return `${textPrefix}${bytes.toString('base64url')}`;
}

/** @throws WEFT_MODEL_STATEMENT_INVALID for anything but a statement whose signature holds */
export function parseModelStatement(text: string): ModelStatement {
  const trimmed = text.trim();
  const bytes = trimmed.startsWith(textPrefix)
    ? Buffer.from(trimmed.slice(textPrefix.length), 'base64url')
    : Buffer.alloc(0);
  const length = hashBytes + keyBytes + signatureBytes;
  if (bytes.length !== length || `${textPrefix}${bytes.toString('base64url')}` !== trimmed)
    throw invalid(
      `it begins with ${textPrefix} and holds ${length} bytes, this text of ${trimmed.length} characters does not`,
    );
  const hash = bytes.subarray(0, hashBytes);
  const key = bytes.subarray(hashBytes, hashBytes + keyBytes);
  if (!verifySignature(key, signedModel(hash), bytes.subarray(hashBytes + keyBytes)))
    throw invalid('its signature does not hold');
  return { sha256: hash.toString('hex') as Sha256, publisher: key.toString('hex') };
}

const invalid = (what: string): WeftError =>
  new WeftError('WEFT_MODEL_STATEMENT_INVALID', `this is no publisher's statement about a base model: ${what}`);

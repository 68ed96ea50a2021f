import { WeftError } from './errors/weft-error.ts';
import { sha256 } from './hash.ts';
import { verifySignature, type Identity } from './identity.ts';

/**
 * An organisation's word for one node of one federation. A coordinator can enrol as many keys as it likes; it cannot
 * make an organisation sign for them, so members without a word that a node trusts count as colluders of the coordinator.
 */

const textPrefix = 'weftorg1_';
const keyBytes = 32;
const signatureBytes = 64;

/** "weft/1/enrol" ‖ 0x00 ‖ federation id ‖ 0x00 ‖ the node's Ed25519 key. */
const signedEnrolment = (federationId: string, nodeKey: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`weft/1/enrol\0${federationId}\0`), nodeKey]);

/** @returns 96 bytes: the organisation's Ed25519 key, then its signature */
export const endorse = (organisation: Identity, federationId: string, nodeKey: Uint8Array): Uint8Array =>
  Buffer.concat([organisation.publicKey, organisation.sign(signedEnrolment(federationId, nodeKey))]);

/** @returns the organisation's key in hex, or undefined where these bytes are no organisation's word for this node */
export function endorsingOrganisation(
  endorsement: Uint8Array,
  federationId: string,
  nodeKey: Uint8Array,
): string | undefined {
  if (endorsement.length !== keyBytes + signatureBytes) return undefined;
  const organisationKey = endorsement.subarray(0, keyBytes);
  const holds = verifySignature(
    organisationKey,
    signedEnrolment(federationId, nodeKey),
    endorsement.subarray(keyBytes),
  );
  return holds ? Buffer.from(organisationKey).toString('hex') : undefined;
}

/** Of an endorsement that was checked when its node enrolled: the organisation's key in hex; undefined of none. */
export const organisationIn = (endorsement: Uint8Array): string | undefined =>
  endorsement.length === 0 ? undefined : Buffer.from(endorsement.subarray(0, keyBytes)).toString('hex');

export const endorsementText = (endorsement: Uint8Array): string =>
  `${textPrefix}${Buffer.from(endorsement).toString('base64url')}`;

/** @throws WEFT_ENDORSEMENT_INVALID */
export function parseEndorsement(text: string): Uint8Array {
  const trimmed = text.trim();
  const bytes = trimmed.startsWith(textPrefix)
    ? Buffer.from(trimmed.slice(textPrefix.length), 'base64url')
    : Buffer.alloc(0);
  if (bytes.length !== keyBytes + signatureBytes || endorsementText(bytes) !== trimmed) {
    throw new WeftError(
      'WEFT_ENDORSEMENT_INVALID',
      `an endorsement begins with ${textPrefix} and holds ${keyBytes + signatureBytes} bytes, this text of ${trimmed.length} characters does not`,
    );
  }
  return new Uint8Array(bytes);
}

/** Short enough to be read over the phone: the first 16 digits of SHA-256 over the key, in fours. */
export const organisationFingerprint = (organisationKey: Uint8Array): string =>
  sha256(organisationKey)
    .slice(0, 16)
    .replaceAll(/(.{4})(?=.)/g, '$1 ');

import { WeftError } from './errors/weft-error.ts';
import { sha256 } from './hash.ts';
import { verifySignature, type Identity } from './identity.ts';

/**
 * An organisation's word for one node of one federation. A coordinator can enrol as many keys as it likes; it cannot
 * make an organisation sign for them, so members without a word that a node trusts count as colluders of the coordinator.
 */

const textPrefix = 'weftorg1_';
const keyBytes = 32;
const untilBytes = 8;
const signatureBytes = 64;
export const endorsementBytes = keyBytes + untilBytes + signatureBytes;

/** The latest end that a word can have: no end. Seconds since 1970. */
export const endless = Number.MAX_SAFE_INTEGER;

/** What an organisation said of one node. */
export interface Endorsement {
  /** Its Ed25519 key, in hex. */
  readonly organisation: string;
  /** Seconds since 1970; from then on it says nothing any more. */
  readonly until: number;
}

/** "weft/1/enrol" ‖ 0x00 ‖ federation id ‖ 0x00 ‖ the node's Ed25519 key ‖ u64 until, big-endian. */
const signedEnrolment = (federationId: string, nodeKey: Uint8Array, until: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`weft/1/enrol\0${federationId}\0`), nodeKey, until]);

/**
 * A word ends: its organisation has no other way to take it back that a coordinator could not keep from the nodes.
 * @returns 104 bytes: the organisation's Ed25519 key, u64 until, the signature
 */
export function endorse(
  organisation: Identity,
  federationId: string,
  nodeKey: Uint8Array,
  untilS: number = endless,
): Uint8Array {
  const until = Buffer.alloc(untilBytes);
  until.writeBigUInt64BE(BigInt(untilS));
  return Buffer.concat([
    organisation.publicKey,
    until,
    organisation.sign(signedEnrolment(federationId, nodeKey, until)),
  ]);
}

/** @returns undefined where these bytes are no organisation's word for this node; whether it has ended is the caller's to ask */
export function readEndorsement(
  endorsement: Uint8Array,
  federationId: string,
  nodeKey: Uint8Array,
): Endorsement | undefined {
  if (endorsement.length !== endorsementBytes) return undefined;
  const until = endorsement.subarray(keyBytes, keyBytes + untilBytes);
  const organisationKey = endorsement.subarray(0, keyBytes);
  const holds = verifySignature(
    organisationKey,
    signedEnrolment(federationId, nodeKey, until),
    endorsement.subarray(keyBytes + untilBytes),
  );
  return holds ? parts(endorsement) : undefined;
}

function parts(endorsement: Uint8Array): Endorsement {
  const bytes = Buffer.from(endorsement);
  return {
    organisation: bytes.toString('hex', 0, keyBytes),
    until: Number(bytes.readBigUInt64BE(keyBytes)),
  };
}

/** @returns the organisation's key in hex, or undefined where none signed for this node, or its word has ended by then */
export function endorsingOrganisation(
  endorsement: Uint8Array,
  federationId: string,
  nodeKey: Uint8Array,
  atS: number,
): string | undefined {
  const word = readEndorsement(endorsement, federationId, nodeKey);
  return word !== undefined && atS < word.until ? word.organisation : undefined;
}

/** @throws WEFT_ENDORSEMENT_INVALID where it is not for this node, or has ended */
export function requireEndorsement(
  endorsement: Uint8Array,
  federationId: string,
  nodeKey: Uint8Array,
  atS: number,
): Endorsement {
  const word = readEndorsement(endorsement, federationId, nodeKey);
  if (word === undefined)
    throw new WeftError('WEFT_ENDORSEMENT_INVALID', `the endorsement is not for this node in ${federationId}`);
  if (atS >= word.until)
    throw new WeftError('WEFT_ENDORSEMENT_INVALID', `the endorsement ended on ${dayOf(word.until)}`);
  return word;
}

/** Of an endorsement that was checked when its node enrolled: the organisation's key in hex; undefined of none, or where it ended. */
export function organisationIn(endorsement: Uint8Array, atS: number = Date.now() / 1000): string | undefined {
  if (endorsement.length === 0) return undefined;
  const { organisation, until } = parts(endorsement);
  return atS < until ? organisation : undefined;
}

/** Of an endorsement that was checked when its node enrolled: seconds since 1970; undefined of none, or of one without end. */
export function endOfWord(endorsement: Uint8Array): number | undefined {
  const until = endorsement.length === 0 ? endless : parts(endorsement).until;
  return until >= endless ? undefined : Math.min(until, lastSecondOf9999);
}

/** The last day that is written in four digits of a year. */
const lastSecondOf9999 = 253_402_300_799;

/** YYYY-MM-DD, UTC; of what has no end: never. */
export const dayOf = (untilS: number): string =>
  untilS >= endless ? 'never' : new Date(Math.min(untilS, lastSecondOf9999) * 1000).toISOString().slice(0, 10);

export const endorsementText = (endorsement: Uint8Array): string =>
  `${textPrefix}${Buffer.from(endorsement).toString('base64url')}`;

/** @throws WEFT_ENDORSEMENT_INVALID */
export function parseEndorsement(text: string): Uint8Array {
  const trimmed = text.trim();
  const bytes = trimmed.startsWith(textPrefix)
    ? Buffer.from(trimmed.slice(textPrefix.length), 'base64url')
    : Buffer.alloc(0);
  if (bytes.length !== endorsementBytes || endorsementText(bytes) !== trimmed) {
    throw new WeftError(
      'WEFT_ENDORSEMENT_INVALID',
      `an endorsement begins with ${textPrefix} and holds ${endorsementBytes} bytes, this text of ${trimmed.length} characters does not`,
    );
  }
  return new Uint8Array(bytes);
}

/** Short enough to be read over the phone: the first 16 digits of SHA-256 over the key, in fours. */
export const organisationFingerprint = (organisationKey: Uint8Array): string =>
  sha256(organisationKey)
    .slice(0, 16)
    .replaceAll(/(.{4})(?=.)/g, '$1 ');

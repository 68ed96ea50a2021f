import { createHash } from 'node:crypto';
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { EnvelopeSchema, type Envelope } from '@weft/proto';
import { WeftError } from './errors/weft-error.ts';
import { verifySignature, type Identity } from './identity.ts';

/** What a signature is over. One domain a kind of body, so that no body passes for another. */
export const domains = {
  enroll: 'weft/1/enroll',
  enrollResult: 'weft/1/enroll-result',
  sessionNode: 'weft/1/session/node',
  sessionCoordinator: 'weft/1/session/coordinator',
  nodeMessage: 'weft/1/message/node',
  coordinatorMessage: 'weft/1/message/coordinator',
  roundOffer: 'weft/1/round-offer',
  update: 'weft/1/update',
  receipt: 'weft/1/receipt',
  certificate: 'weft/1/certificate',
} as const;
export type Domain = (typeof domains)[keyof typeof domains];

/** domain ‖ 0x00 ‖ SHA-256(body): what Ed25519 signs. */
export const signedBytes = (domain: Domain, body: Uint8Array): Uint8Array =>
  withDomain(domain, createHash('sha256').update(body).digest());

const withDomain = (domain: Domain, digest: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`${domain}\0`), digest]);

export const signBody = (domain: Domain, body: Uint8Array, identity: Identity): Uint8Array =>
  identity.sign(signedBytes(domain, body));

/** @param digest SHA-256 of the body, for whoever hashes it in pieces */
export const signDigest = (domain: Domain, digest: Uint8Array, identity: Identity): Uint8Array =>
  identity.sign(withDomain(domain, digest));

export const verifyBody = (domain: Domain, body: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean =>
  verifySignature(publicKey, signedBytes(domain, body), signature);

/** Serialises the body once and signs those bytes. */
export function sealEnvelope<S extends DescMessage>(
  domain: Domain,
  schema: S,
  body: MessageInitShape<S>,
  identity: Identity,
): Envelope {
  const bytes = toBinary(schema, create(schema, body));
  return create(EnvelopeSchema, {
    body: bytes,
    keyId: Buffer.from(identity.keyId, 'hex'),
    signature: signBody(domain, bytes, identity),
  });
}

/**
 * Parses the body only after the signature of `publicKey` holds over its exact bytes.
 * @throws WEFT_SIGNATURE_INVALID, WEFT_MESSAGE_MALFORMED
 */
export function openEnvelope<S extends DescMessage>(
  domain: Domain,
  schema: S,
  envelope: Envelope | undefined,
  publicKey: Uint8Array,
): MessageShape<S> {
  if (envelope === undefined)
    throw new WeftError('WEFT_MESSAGE_MALFORMED', `${schema.typeName} came without an envelope`);
  const keyId = createHash('sha256').update(publicKey).digest();
  if (!keyId.equals(envelope.keyId) || !verifyBody(domain, envelope.body, envelope.signature, publicKey)) {
    throw new WeftError('WEFT_SIGNATURE_INVALID', `the signature on ${schema.typeName} does not hold`);
  }
  return parseBody(schema, envelope.body);
}

/**
 * Reads a body before its signer is known (Enroll carries the key that signs it). Open the envelope with that key next.
 * @throws WEFT_MESSAGE_MALFORMED
 */
export function parseBody<S extends DescMessage>(schema: S, body: Uint8Array): MessageShape<S> {
  try {
    return fromBinary(schema, body, { readUnknownFields: false });
  } catch (cause) {
    throw new WeftError(
      'WEFT_MESSAGE_MALFORMED',
      `${schema.typeName} of ${body.length} bytes does not parse`,
      {},
      { cause },
    );
  }
}

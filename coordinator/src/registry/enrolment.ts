import { EnrollBodySchema, EnrollResultSchema, EnrollStatus, type EnrollRequest, type Envelope } from '@weft/proto';
import {
  WeftError,
  domains,
  requireEndorsement,
  openEnvelope,
  parseBody,
  protocolVersion,
  sealEnvelope,
  type FederationId,
  type Identity,
} from '@weft/shared';
import type { RegisteredNode } from './registry-state.ts';
import type { Registry } from './registry.ts';

/** A body holds a key, a token, a nonce and two names; longer is somebody else's message. */
const maxBodyBytes = 4096;
const tokenBytes = { min: 16, max: 64 };
const nonceBytes = { min: 16, max: 64 };
/** The admin reads them in one line of a table. */
const maxNameCharacters = 100;

export interface EnrolmentContext {
  readonly identity: Identity;
  readonly federationId: FederationId;
  readonly registry: Registry;
}

/**
 * Enrols the key that signed the request. What it answers carries the request's nonce, signed.
 * @throws WEFT_MESSAGE_MALFORMED, WEFT_SIGNATURE_INVALID, WEFT_PROTOCOL_VERSION, WEFT_WRONG_FEDERATION, and what Registry.enrol throws
 */
export function enrol(
  { envelope }: EnrollRequest,
  { identity, federationId, registry }: EnrolmentContext,
): { node: RegisteredNode; answer: Envelope } {
  const length = envelope?.body.length ?? 0;
  if (envelope === undefined || length > maxBodyBytes) {
    throw new WeftError(
      'WEFT_MESSAGE_MALFORMED',
      `the request has a body of ${length} bytes, the limit is ${maxBodyBytes}`,
    );
  }
  // The key that signs is the one in the body: who holds it, enrols it.
  const body = openEnvelope(
    domains.enroll,
    EnrollBodySchema,
    envelope,
    parseBody(EnrollBodySchema, envelope.body).publicKey,
  );
  if (body.protocolVersion !== protocolVersion) {
    throw new WeftError(
      'WEFT_PROTOCOL_VERSION',
      `the node speaks protocol ${body.protocolVersion}, this coordinator ${protocolVersion}`,
    );
  }
  if (body.federationId !== federationId || !identityMatches(body.coordinatorKey, identity)) {
    throw new WeftError(
      'WEFT_WRONG_FEDERATION',
      `the node means another federation or coordinator than ${federationId}`,
    );
  }
  checkLength('invite token', body.inviteToken, tokenBytes);
  checkLength('nonce', body.nonce, nonceBytes);
  const { endorsement, publicKey } = body;
  if (endorsement.length > 0) requireEndorsement(endorsement, federationId, publicKey, Date.now() / 1000);
  const node = registry.enrol({
    token: body.inviteToken,
    publicKey: body.publicKey,
    name: checkName('node name', body.nodeName, 1),
    organisation: checkName('organisation', body.organisation, 0),
    endorsement,
  });
  const status = node.state === 'approved' ? EnrollStatus.APPROVED : EnrollStatus.PENDING;
  const answer = sealEnvelope(
    domains.enrollResult,
    EnrollResultSchema,
    { federationId, nodeId: node.id, status, nonce: body.nonce },
    identity,
  );
  return { node, answer };
}

const identityMatches = (key: Uint8Array, { publicKey }: Identity): boolean => Buffer.from(publicKey).equals(key);

function checkLength(what: string, { length }: Uint8Array, { min, max }: { min: number; max: number }): void {
  if (length < min || length > max)
    throw new WeftError('WEFT_MESSAGE_MALFORMED', `the ${what} has ${length} bytes, it must have ${min} to ${max}`);
}

/** What an operator typed is shown to the admin: one line, no control or direction-changing characters. */
function checkName(what: string, text: string, minimum: number): string {
  const name = text.trim();
  if (name.length < minimum || name.length > maxNameCharacters || /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(name)) {
    throw new WeftError(
      'WEFT_MESSAGE_MALFORMED',
      `the ${what} has ${name.length} characters, it must have ${minimum} to ${maxNameCharacters} printable ones`,
    );
  }
  return name;
}

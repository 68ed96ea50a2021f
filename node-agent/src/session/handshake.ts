import { randomBytes } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { SessionTranscriptSchema, type Challenge, type SessionTranscript, type Welcome } from '@weft/proto';
import { domains, protocolVersion, signBody, verifyBody, WeftError, type Identity } from '@weft/shared';
import type { Federation } from '../home/federation-file.ts';

const nonceBytes = 32;
const ticketBytes = 32;

/** What the node signed; the coordinator must sign the same. */
export interface Answer {
  readonly transcript: SessionTranscript;
  readonly bytes: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * Signs protocol, federation, coordinator, node and both nonces, but only for the coordinator that the invite pinned.
 * @throws WEFT_PROTOCOL_VERSION, WEFT_WRONG_FEDERATION, WEFT_SESSION_HANDSHAKE
 */
export function answerChallenge(challenge: Challenge, federation: Federation, identity: Identity): Answer {
  if (challenge.protocolVersion !== protocolVersion) {
    throw new WeftError(
      'WEFT_PROTOCOL_VERSION',
      `the coordinator speaks protocol ${challenge.protocolVersion}, this node ${protocolVersion}`,
    );
  }
  if (
    challenge.federationId !== federation.federationId ||
    !equal(challenge.coordinatorKey, federation.coordinatorKey)
  ) {
    throw new WeftError(
      'WEFT_WRONG_FEDERATION',
      `the coordinator speaks for another federation than ${federation.federationId}`,
    );
  }
  if (challenge.coordinatorNonce.length !== nonceBytes) {
    throw new WeftError(
      'WEFT_SESSION_HANDSHAKE',
      `the coordinator's nonce has ${challenge.coordinatorNonce.length} bytes, it must have ${nonceBytes}`,
    );
  }
  const transcript = create(SessionTranscriptSchema, {
    protocolVersion,
    federationId: federation.federationId,
    coordinatorKey: federation.coordinatorKey,
    nodeId: federation.nodeId,
    coordinatorNonce: challenge.coordinatorNonce,
    nodeNonce: randomBytes(nonceBytes),
  });
  const bytes = toBinary(SessionTranscriptSchema, transcript);
  return { transcript, bytes, signature: signBody(domains.sessionNode, bytes, identity) };
}

/**
 * The coordinator has signed this very transcript, the node's fresh nonce included: it is there now.
 * @throws WEFT_SESSION_HANDSHAKE
 */
export function checkWelcome(welcome: Welcome, { bytes }: Answer, { coordinatorKey }: Federation): void {
  if (!verifyBody(domains.sessionCoordinator, bytes, welcome.transcriptSignature, coordinatorKey)) {
    throw new WeftError('WEFT_SESSION_HANDSHAKE', "the coordinator's signature over the transcript does not hold");
  }
  if (welcome.sessionId.length < 16 || welcome.ticket.length !== ticketBytes) {
    throw new WeftError(
      'WEFT_SESSION_HANDSHAKE',
      `session id of ${welcome.sessionId.length} and ticket of ${welcome.ticket.length} bytes: at least 16 and exactly ${ticketBytes} are due`,
    );
  }
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).equals(b);

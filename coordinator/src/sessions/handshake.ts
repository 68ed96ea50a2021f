import { randomBytes, timingSafeEqual } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { NodeMessageSchema, SessionTranscriptSchema, type Envelope, type SessionTranscript } from '@weft/proto';
import {
  WeftError,
  domains,
  isNodeId,
  openEnvelope,
  parseBody,
  protocolVersion,
  signBody,
  verifyBody,
  type FederationId,
  type Identity,
  type NodeId,
} from '@weft/shared';
import type { Registry } from '../registry/registry.ts';

/** Both sides' nonces, and so every handshake, are fresh. */
export const nonceBytes = 32;
const maxAgentVersionCharacters = 64;

export interface HandshakeContext {
  readonly identity: Identity;
  readonly federationId: FederationId;
  readonly registry: Pick<Registry, 'node'>;
}

/** A node that has proved its key for this very stream. */
export interface ProvenNode {
  readonly nodeId: NodeId;
  readonly publicKey: Uint8Array;
  readonly agentVersion: string;
  /** Over the same transcript, under the coordinator's own domain: what Welcome carries. */
  readonly coordinatorSignature: Uint8Array;
}

export const createNonce = (): Uint8Array => randomBytes(nonceBytes);

/**
 * Checks the first thing that a node says. It must be signed by the key that enrolled as this node, and so must the
 * transcript that holds the challenge of this stream: an old Hello, or one for another coordinator, proves nothing.
 * @throws WEFT_SESSION_HANDSHAKE, WEFT_PROTOCOL_VERSION, WEFT_WRONG_FEDERATION, WEFT_NODE_UNKNOWN, WEFT_NODE_PENDING,
 *   WEFT_NODE_REVOKED, WEFT_SIGNATURE_INVALID, WEFT_MESSAGE_MALFORMED
 */
export function verifyHello(
  envelope: Envelope | undefined,
  challenge: Uint8Array,
  context: HandshakeContext,
): ProvenNode {
  const node = findClaimedNode(envelope, context);
  const { publicKey } = node;
  const message = openEnvelope(domains.nodeMessage, NodeMessageSchema, envelope, publicKey);
  if (message.kind.case !== 'hello' || message.sequence !== 0n || message.sessionId.length !== 0) {
    throw new WeftError('WEFT_SESSION_HANDSHAKE', 'a session begins with Hello, sequence number 0 and no session id');
  }
  const { transcript, transcriptSignature, agentVersion } = message.kind.value;
  if (transcript === undefined) throw new WeftError('WEFT_MESSAGE_MALFORMED', 'Hello came without a transcript');
  checkTranscript(transcript, node.id, challenge, context);
  const bytes = toBinary(SessionTranscriptSchema, create(SessionTranscriptSchema, transcript));
  if (!verifyBody(domains.sessionNode, bytes, transcriptSignature, publicKey)) {
    throw new WeftError('WEFT_SIGNATURE_INVALID', "the node's signature on the transcript does not hold");
  }
  if (node.state === 'pending')
    throw new WeftError('WEFT_NODE_PENDING', `node ${node.id} waits for the admin's approval`);
  if (node.state === 'revoked') throw new WeftError('WEFT_NODE_REVOKED', `node ${node.id} was revoked`);
  return {
    nodeId: node.id,
    publicKey,
    agentVersion: agentVersion.slice(0, maxAgentVersionCharacters).replace(/[^\x20-\x7e]/g, '?'),
    coordinatorSignature: signBody(domains.sessionCoordinator, bytes, context.identity),
  };
}

/** Which key to check the signature with; nothing else of the body is believed yet. */
function findClaimedNode(envelope: Envelope | undefined, { registry }: HandshakeContext) {
  if (envelope === undefined) throw new WeftError('WEFT_MESSAGE_MALFORMED', 'Hello came without an envelope');
  const claimed = parseBody(NodeMessageSchema, envelope.body);
  if (claimed.kind.case !== 'hello') throw new WeftError('WEFT_SESSION_HANDSHAKE', 'a session begins with Hello');
  const nodeId = claimed.kind.value.transcript?.nodeId ?? '';
  const node = isNodeId(nodeId) ? registry.node(nodeId) : undefined;
  if (node === undefined) throw new WeftError('WEFT_NODE_UNKNOWN', 'no node of this id has enrolled here');
  return node;
}

function checkTranscript(
  transcript: SessionTranscript,
  nodeId: NodeId,
  challenge: Uint8Array,
  { identity, federationId }: HandshakeContext,
): void {
  if (transcript.protocolVersion !== protocolVersion) {
    throw new WeftError(
      'WEFT_PROTOCOL_VERSION',
      `the node speaks protocol ${transcript.protocolVersion}, this coordinator ${protocolVersion}`,
    );
  }
  if (transcript.federationId !== federationId || !equalBytes(transcript.coordinatorKey, identity.publicKey)) {
    throw new WeftError(
      'WEFT_WRONG_FEDERATION',
      `the node means another federation or coordinator than ${federationId}`,
    );
  }
  if (transcript.nodeId !== nodeId) throw new WeftError('WEFT_SESSION_HANDSHAKE', 'the transcript names another node');
  if (!equalBytes(transcript.coordinatorNonce, challenge)) {
    throw new WeftError('WEFT_SESSION_HANDSHAKE', 'the transcript does not answer the challenge of this stream');
  }
  if (transcript.nodeNonce.length !== nonceBytes) {
    throw new WeftError(
      'WEFT_SESSION_HANDSHAKE',
      `the node's nonce has ${transcript.nodeNonce.length} bytes, it must have ${nonceBytes}`,
    );
  }
}

const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);

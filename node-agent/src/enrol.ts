import { randomBytes } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';
import { callUnary, EnrollBodySchema, EnrollResultSchema, EnrollStatus, NodeService } from '@weft/proto';
import {
  domains,
  requireEndorsement,
  openEnvelope,
  parseInvite,
  protocolVersion,
  sealEnvelope,
  toFederationId,
  toNodeId,
  WeftError,
} from '@weft/shared';
import { findFederation, writeFederation, type Federation } from './home/federation-file.ts';
import { openHome } from './home/home.ts';
import { recordSent } from './home/sent-record.ts';
import { openClient } from './network/coordinator-client.ts';
import { fromServiceError } from './network/service-error.ts';
import { createTraffic } from './network/traffic.ts';

/** One answer is enough to wait for: a coordinator that takes longer is not reachable. */
const enrolTimeoutMs = 30_000;
const nonceBytes = 32;

export interface JoinOptions {
  readonly home: string;
  /** As the admin gave it: `weft1_…` */
  readonly invite: string;
  /** What the admin sees. */
  readonly nodeName: string;
  readonly organisation?: string;
  /** An organisation's word for this node's key in this federation, 96 bytes. */
  readonly endorsement?: Uint8Array;
  /** Sees each serialised message that leaves. */
  readonly onSend?: (bytes: Uint8Array) => void;
}

export interface Joined {
  readonly federation: Federation;
  /** pending: the admin has yet to approve this node. */
  readonly status: 'pending' | 'approved';
}

/**
 * Enrols this home's key with the invite's coordinator and keeps the invite's pins. May be repeated with the same
 * invite: the coordinator answers the same key again, and takes another name or an organisation's word that came later.
 * @throws WEFT_INVITE_MALFORMED, WEFT_NODE_ALREADY_JOINED, WEFT_COORDINATOR_CERTIFICATE, WEFT_INVITE_USED …
 */
export async function joinFederation({
  home: path,
  invite: text,
  nodeName,
  organisation = '',
  endorsement = new Uint8Array(),
  onSend,
}: JoinOptions): Promise<Joined> {
  const invite = parseInvite(text);
  const federationId = toFederationId(invite.coordinatorKey);
  const home = await openHome(path);
  try {
    const kept = await findFederation(path);
    if (kept !== undefined && kept.federationId !== federationId) {
      throw new WeftError(
        'WEFT_NODE_ALREADY_JOINED',
        `the home ${path} belongs to ${kept.federationId}, the invite is of ${federationId}`,
      );
    }
    const { identity } = home;
    const word =
      endorsement.length > 0
        ? requireEndorsement(endorsement, federationId, identity.publicKey, Date.now() / 1000)
        : undefined;
    const nonce = randomBytes(nonceBytes);
    const envelope = sealEnvelope(
      domains.enroll,
      EnrollBodySchema,
      {
        protocolVersion,
        federationId,
        nodeName,
        organisation,
        nonce,
        coordinatorKey: invite.coordinatorKey,
        inviteToken: invite.token,
        publicKey: identity.publicKey,
        endorsement,
      },
      identity,
    );
    const client = openClient({ address: invite.address, certificate: invite.certificateDer }, createTraffic(onSend));
    const response = await callUnary(
      client,
      new Metadata(),
      NodeService.method.enroll,
      { envelope },
      { deadline: Date.now() + enrolTimeoutMs },
    )
      .catch((error: unknown) => {
        throw fromServiceError(error, invite.address);
      })
      .finally(() => client.close());
    const result = openEnvelope(domains.enrollResult, EnrollResultSchema, response.envelope, invite.coordinatorKey);
    const nodeId = toNodeId(identity.publicKey);
    if (!nonce.equals(result.nonce) || result.federationId !== federationId || result.nodeId !== nodeId) {
      throw new WeftError('WEFT_SESSION_HANDSHAKE', 'the coordinator answered another enrolment than this one');
    }
    const federation: Federation = {
      version: 1,
      federationId,
      nodeId,
      nodeName,
      organisation,
      address: invite.address,
      federationName: invite.federationName,
      coordinatorKey: invite.coordinatorKey,
      certificates: [{ der: invite.certificateDer, notBeforeMs: 0 }],
    };
    await writeFederation(path, federation);
    await recordSent(path, {
      kind: 'enrolment',
      federationId,
      nodeId,
      nodeName,
      organisation,
      ...(word !== undefined && { endorsedBy: word.organisation, endorsedUntil: word.until }),
    });
    return { federation, status: result.status === EnrollStatus.APPROVED ? 'approved' : 'pending' };
  } finally {
    await home.release();
  }
}

/** This home's public key, 32 bytes; the first call makes it. @throws WEFT_HOME_LOCKED, WEFT_NODE_HOME_DAMAGED */
export async function nodeKey(path: string): Promise<Uint8Array> {
  const home = await openHome(path);
  await home.release();
  return home.identity.publicKey;
}

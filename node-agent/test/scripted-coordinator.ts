import { randomBytes } from 'node:crypto';
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { Metadata, Server, ServerCredentials, status, type ServerDuplexStream } from '@grpc/grpc-js';
import {
  CoordinatorMessageSchema,
  EnrollBodySchema,
  EnrollResultSchema,
  EnrollStatus,
  NodeMessageSchema,
  NodeService,
  SessionTranscriptSchema,
  toServiceDefinition,
  type Envelope,
  type NodeMessage,
  type ServiceHandlers,
  type UploadRequest,
  type SessionRequest,
  type SessionResponse,
} from '@weft/proto';
import {
  createIdentity,
  domains,
  formatInvite,
  openEnvelope,
  parseBody,
  protocolVersion,
  sealEnvelope,
  signBody,
  toFederationId,
  toNodeId,
  type Identity,
} from '@weft/shared';
import { createTestCertificate, type TestCertificate } from './test-certificate.ts';

type CoordinatorKind = NonNullable<MessageInitShape<typeof CoordinatorMessageSchema>['kind']>;

/** The coordinator's half of one session, for a test to play honestly or not. */
export interface ScriptedSession {
  say(kind: CoordinatorKind, change?: { sequence?: bigint; sessionId?: Uint8Array; signer?: Identity }): void;
  /** The node's next message; undefined at the end of the stream. */
  hear(): Promise<NodeMessage | undefined>;
  /** Challenge, Hello, Welcome as they should be. */
  shakeHands(): Promise<void>;
  fail(code: status, details: string, weftCode?: string): void;
  readonly ticket: Uint8Array;
}

export interface ScriptedCoordinator {
  readonly address: string;
  readonly identity: Identity;
  readonly certificate: TestCertificate;
  readonly token: Uint8Array;
  invite(change?: { certificateDer?: Uint8Array; address?: string }): string;
  /** Sessions and calls that got through TLS. */
  readonly calls: string[];
  close(): void;
}

export interface Script {
  readonly certificate?: TestCertificate;
  readonly identity?: Identity;
  readonly port?: number;
  readonly enrolStatus?: EnrollStatus;
  readonly changeEnrolResult?: (
    result: MessageInitShape<typeof EnrollResultSchema>,
  ) => MessageInitShape<typeof EnrollResultSchema>;
  readonly session?: (session: ScriptedSession, attempt: number) => Promise<void>;
  readonly blobs?: ReadonlyMap<string, Uint8Array>;
  /** The receipt for an update of which all bytes came. */
  readonly receipt?: (update: Envelope, payload: Uint8Array) => Envelope;
  /** How many bytes of a download leave before the line breaks; by attempt. */
  readonly breakDownloadAfter?: (attempt: number) => number | undefined;
}

/** A coordinator that a test writes: real gRPC over real TLS on a free port, and only as much behind it as is needed. */
export async function startScriptedCoordinator(script: Script = {}): Promise<ScriptedCoordinator> {
  const certificate = script.certificate ?? (await createTestCertificate());
  const identity = script.identity ?? createIdentity().identity;
  const federationId = toFederationId(identity.publicKey);
  const token = randomBytes(32);
  const calls: string[] = [];
  let sessions = 0;
  let downloads = 0;
  const handlers: Partial<ServiceHandlers<typeof NodeService>> = {
    enroll(call, answer) {
      calls.push('enroll');
      const claimed = parseBody(EnrollBodySchema, call.request.envelope!.body);
      const body = openEnvelope(domains.enroll, EnrollBodySchema, call.request.envelope, claimed.publicKey);
      const result = {
        federationId,
        nodeId: toNodeId(body.publicKey),
        status: script.enrolStatus ?? EnrollStatus.APPROVED,
        nonce: body.nonce,
      };
      const envelope = sealEnvelope(
        domains.enrollResult,
        EnrollResultSchema,
        script.changeEnrolResult?.(result) ?? result,
        identity,
      );
      answer(null, { $typeName: 'weft.v1.EnrollResponse', envelope });
    },
    session(call) {
      calls.push('session');
      const session = scriptedSession(call, identity);
      script.session?.(session, ++sessions).catch((error: unknown) => session.fail(status.INTERNAL, String(error)));
    },
    download(call) {
      calls.push('download');
      const { sha256, offset } = call.request;
      const blob = script.blobs?.get(sha256);
      if (blob === undefined)
        return void call.emit('error', { code: status.PERMISSION_DENIED, details: 'not offered' });
      const breakAt = script.breakDownloadAfter?.(++downloads);
      const end = breakAt === undefined ? blob.length : Math.min(blob.length, Number(offset) + breakAt);
      for (let at = Number(offset); at < end; at += 1000) {
        call.write({
          $typeName: 'weft.v1.DownloadResponse',
          offset: BigInt(at),
          totalBytes: BigInt(blob.length),
          data: blob.subarray(at, Math.min(at + 1000, end)),
        });
      }
      if (breakAt !== undefined) call.emit('error', { code: status.UNAVAILABLE, details: 'the line broke' });
      else call.end();
    },
    uploadStatus(_call, answer) {
      calls.push('uploadStatus');
      answer(null, { $typeName: 'weft.v1.UploadStatusResponse', receivedBytes: 0n });
    },
    upload(call, answer) {
      calls.push('upload');
      let update: Envelope | undefined;
      const pieces: Uint8Array[] = [];
      call.on('data', ({ kind }: UploadRequest) => {
        if (kind.case === 'header') update = kind.value.update;
        if (kind.case === 'data') pieces.push(kind.value);
      });
      call.on('end', () =>
        answer(null, { $typeName: 'weft.v1.UploadResponse', receipt: script.receipt!(update!, Buffer.concat(pieces)) }),
      );
    },
  };
  const server = new Server();
  server.addService(toServiceDefinition(NodeService), handlers);
  const credentials = ServerCredentials.createSsl(null, [
    { private_key: Buffer.from(certificate.keyPem), cert_chain: Buffer.from(certificate.pem) },
  ]);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${script.port ?? 0}`, credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const address = `127.0.0.1:${port}`;
  return {
    address,
    identity,
    certificate,
    token,
    calls,
    invite: (change = {}) =>
      formatInvite({
        protocolVersion,
        token,
        address: change.address ?? address,
        certificateDer: change.certificateDer ?? certificate.der,
        coordinatorKey: identity.publicKey,
        federationName: 'test',
      }),
    close: () => server.forceShutdown(),
  };
}

function scriptedSession(
  call: ServerDuplexStream<SessionRequest, SessionResponse>,
  identity: Identity,
): ScriptedSession {
  const heard = call[Symbol.asyncIterator]() as AsyncIterator<SessionRequest>;
  const ticket = randomBytes(32);
  let sessionId: Uint8Array = new Uint8Array();
  let sequence = 0n;
  const session: ScriptedSession = {
    ticket,
    say(kind, change = {}) {
      const message = { sequence: change.sequence ?? sequence++, sessionId: change.sessionId ?? sessionId, kind };
      const envelope: Envelope = sealEnvelope(
        domains.coordinatorMessage,
        CoordinatorMessageSchema,
        message,
        change.signer ?? identity,
      );
      call.write({ $typeName: 'weft.v1.SessionResponse', envelope });
    },
    async hear() {
      const next = await heard.next().catch(() => ({ done: true as const, value: undefined }));
      return next.done === true ? undefined : parseBody(NodeMessageSchema, next.value.envelope!.body);
    },
    async shakeHands() {
      session.say({ case: 'challenge', value: challengeOf(identity) });
      const hello = await session.hear();
      if (hello?.kind.case !== 'hello') throw new Error(`${hello?.kind.case ?? 'nothing'} came instead of Hello`);
      const transcript = toBinary(
        SessionTranscriptSchema,
        create(SessionTranscriptSchema, hello.kind.value.transcript),
      );
      sessionId = randomBytes(16);
      const transcriptSignature = signBody(domains.sessionCoordinator, transcript, identity);
      session.say({ case: 'welcome', value: { transcriptSignature, sessionId, ticket, heartbeatIntervalMs: 1000 } });
    },
    fail(code, details, weftCode) {
      call.emit('error', { code, details, ...(weftCode !== undefined && { metadata: metadataOf(weftCode) }) });
    },
  };
  return session;
}

export const challengeOf = ({ publicKey }: Identity) => ({
  protocolVersion,
  federationId: toFederationId(publicKey),
  coordinatorKey: publicKey,
  coordinatorNonce: randomBytes(32),
});

function metadataOf(weftCode: string): Metadata {
  const metadata = new Metadata();
  metadata.set('weft-code', weftCode);
  return metadata;
}

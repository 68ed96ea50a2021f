import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { Client, Metadata, credentials, type ServiceError } from '@grpc/grpc-js';
import {
  CoordinatorMessageSchema,
  EnrollBodySchema,
  EnrollResultSchema,
  NodeMessageSchema,
  NodeService,
  SessionTranscriptSchema,
  callBidiStream,
  callClientStream,
  callServerStream,
  callUnary,
  type CoordinatorMessage,
  type Envelope,
  type SessionTranscript,
  type UploadResponse,
} from '@weft/proto';
import {
  certificateToPem,
  checkPinnedCertificate,
  coordinatorServerName,
  createIdentity,
  domains,
  fromGrpcStatus,
  openEnvelope,
  protocolVersion,
  sealEnvelope,
  signBody,
  toNodeId,
  type Identity,
} from '@weft/shared';

type NodeSays = NonNullable<MessageInitShape<typeof NodeMessageSchema>['kind']>;

/** The error that ended a call, as the catalogue's: what an attack was answered with. */
export const refusalCode = async (call: Promise<unknown>): Promise<string> => {
  try {
    await call;
    return 'served';
  } catch (error) {
    return (
      fromGrpcStatus(error as ServiceError)?.code ??
      `gRPC ${(error as ServiceError).code}: ${(error as ServiceError).details}`
    );
  }
};

/** What a node knows of a coordinator: its invite. */
export interface KnownCoordinator {
  readonly address: string;
  readonly federationId: string;
  readonly identity: Pick<Identity, 'publicKey'>;
  readonly certificate: { readonly der: Uint8Array };
}

/** A node that keeps to the protocol unless a test tells it otherwise. */
export function createTestNode(
  coordinator: KnownCoordinator,
  { identity = createIdentity().identity, pinned = coordinator.certificate.der, address = coordinator.address } = {},
) {
  const nodeId = toNodeId(identity.publicKey);
  const client = new Client(
    address,
    credentials.createSsl(Buffer.from(certificateToPem(pinned)), null, null, {
      checkServerIdentity: checkPinnedCertificate([pinned]),
    }),
    {
      'grpc.ssl_target_name_override': coordinatorServerName,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_send_message_length': -1,
    },
  );
  const { method } = NodeService;

  return {
    identity,
    nodeId,
    client,
    close: () => client.close(),

    async enrol(
      token: Uint8Array,
      changes: MessageInitShape<typeof EnrollBodySchema> = {},
      signer: Identity = identity,
    ) {
      const body = {
        protocolVersion,
        federationId: coordinator.federationId,
        coordinatorKey: coordinator.identity.publicKey,
        inviteToken: token,
        publicKey: identity.publicKey,
        nodeName: 'library',
        nonce: randomBytes(16),
        ...changes,
      };
      const envelope = sealEnvelope(domains.enroll, EnrollBodySchema, body, signer);
      const response = await callUnary(client, new Metadata(), method.enroll, { envelope });
      return openEnvelope(domains.enrollResult, EnrollResultSchema, response.envelope, coordinator.identity.publicKey);
    },

    /** The stream alone; Hello is up to the test. */
    startSession: () => connect(coordinator, client, identity),

    async openSession(options: SessionTampering = {}): Promise<TestSession> {
      const session = connect(coordinator, client, identity);
      const challenge = await session.next('challenge');
      const transcript = create(SessionTranscriptSchema, {
        protocolVersion,
        federationId: coordinator.federationId,
        coordinatorKey: coordinator.identity.publicKey,
        nodeId,
        coordinatorNonce: challenge.coordinatorNonce,
        nodeNonce: randomBytes(32),
        ...options.transcript,
      });
      const bytes = toBinary(SessionTranscriptSchema, transcript);
      const transcriptSignature =
        options.transcriptSignature ?? signBody(domains.sessionNode, bytes, options.signer ?? identity);
      const hello =
        options.hello ??
        session.seal(
          { case: 'hello', value: { transcript, transcriptSignature, agentVersion: 'test' } },
          options.signer,
        );
      session.sendEnvelope(hello);
      const welcome = await session.next('welcome');
      session.begin(welcome.sessionId);
      return Object.assign(session, { hello, transcript: bytes, welcome, ticket: welcome.ticket });
    },

    async download(ticket: Uint8Array, sha256: string, offset = 0n): Promise<Buffer> {
      const pieces: Uint8Array[] = [];
      for await (const { data } of callServerStream(client, new Metadata(), method.download, {
        ticket,
        sha256,
        offset,
      }))
        pieces.push(data);
      return Buffer.concat(pieces);
    },

    upload(
      ticket: Uint8Array,
      update: Envelope,
      payload: Uint8Array,
      { offset = 0, pieceBytes = 1 << 20 } = {},
    ): Promise<UploadResponse> {
      return new Promise((resolve, reject) => {
        const call = callClientStream(client, new Metadata(), method.upload, (error, response) =>
          error ? reject(error) : resolve(response!),
        );
        call.on('error', () => {});
        call.write({
          $typeName: 'weft.v1.UploadRequest',
          kind: {
            case: 'header',
            value: { $typeName: 'weft.v1.UploadHeader', ticket, update, offset: BigInt(offset) },
          },
        });
        for (let at = offset; at < payload.length; at += pieceBytes) {
          call.write({
            $typeName: 'weft.v1.UploadRequest',
            kind: { case: 'data', value: payload.subarray(at, at + pieceBytes) },
          });
        }
        call.end();
      });
    },

    uploadStatus: (ticket: Uint8Array, payloadSha256: string) =>
      callUnary(client, new Metadata(), method.uploadStatus, { ticket, payloadSha256, runId: 'r', round: 0 }),
  };
}

export type TestNode = ReturnType<typeof createTestNode>;

/** What an attacker changes of a handshake. */
interface SessionTampering {
  readonly transcript?: Partial<SessionTranscript>;
  readonly transcriptSignature?: Uint8Array;
  readonly signer?: Identity;
  /** Sent instead of what was built: a replay. */
  readonly hello?: Envelope;
}

type Said<C extends CoordinatorMessage['kind']['case']> = Extract<CoordinatorMessage['kind'], { case: C }>['value'];
export type TestSession = ReturnType<typeof connect> & {
  hello: Envelope;
  transcript: Uint8Array;
  welcome: Said<'welcome'>;
  ticket: Uint8Array;
};

function connect(coordinator: KnownCoordinator, client: Client, identity: Identity) {
  const call = callBidiStream(client, new Metadata(), NodeService.method.session);
  const received: CoordinatorMessage[] = [];
  let expected = 0n;
  call.on('data', ({ envelope }) => {
    const message = openEnvelope(
      domains.coordinatorMessage,
      CoordinatorMessageSchema,
      envelope,
      coordinator.identity.publicKey,
    );
    if (message.sequence !== expected++) throw new Error(`message ${message.sequence} came out of order`);
    received.push(message);
    call.emit('received');
  });
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => {});
  call.on('error', ended.reject);
  call.on('end', () =>
    ended.reject(Object.assign(new Error('ended'), { code: 0, details: 'ended', metadata: new Metadata() })),
  );
  let sessionId: Uint8Array = new Uint8Array(0);
  let sequence = 0n;
  const seal = (
    kind: NodeSays,
    signer: Identity = identity,
    header: { sequence?: bigint; sessionId?: Uint8Array } = {},
  ): Envelope =>
    sealEnvelope(domains.nodeMessage, NodeMessageSchema, { sessionId, sequence: sequence++, kind, ...header }, signer);
  const sendEnvelope = (envelope: Envelope): void => void call.write({ $typeName: 'weft.v1.SessionRequest', envelope });
  return {
    call,
    /** Rejects with what ended the stream. */
    ended: ended.promise,
    seal,
    sendEnvelope,
    begin: (id: Uint8Array) => (sessionId = id),
    say: (kind: NodeSays, signer?: Identity, header?: { sequence?: bigint; sessionId?: Uint8Array }) =>
      sendEnvelope(seal(kind, signer, header)),
    /** The next message of this kind, skipping others; rejects when the stream ends before. */
    async next<C extends CoordinatorMessage['kind']['case']>(kind: C): Promise<Said<C>> {
      for (;;) {
        const at = received.findIndex((message) => message.kind.case === kind);
        const [message] = at < 0 ? [] : received.splice(at, 1);
        if (message !== undefined) return message.kind.value as Said<C>;
        await Promise.race([once(call, 'received'), ended.promise]);
      }
    },
    received,
  };
}

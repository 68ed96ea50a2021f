import { Metadata, type Client } from '@grpc/grpc-js';
import {
  callBidiStream,
  CoordinatorMessageSchema,
  NodeMessageSchema,
  NodeService,
  type CoordinatorMessage,
  type Welcome,
} from '@weft/proto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { domains, fromRefusal, openEnvelope, sealEnvelope, WeftError, type Identity } from '@weft/shared';
import type { Federation } from '../home/federation-file.ts';
import { fromServiceError } from '../network/service-error.ts';
import { answerChallenge, checkWelcome, type Answer } from './handshake.ts';

/** What a node says; session id, sequence number and signature are added here. */
export type NodeSays = NonNullable<MessageInitShape<typeof NodeMessageSchema>['kind']>;
/** What the coordinator says after the handshake. */
export type CoordinatorSays = Exclude<
  CoordinatorMessage['kind'],
  { case: 'challenge' | 'welcome' | 'heartbeat' | undefined }
>;

export interface Session {
  /** For transfers, which carry `ticket`. */
  readonly client: Client;
  readonly ticket: Uint8Array;
  /** Queues a message; after the end it goes nowhere, and the next session must say it again. */
  say(message: NodeSays): void;
  /** Resolves with the reason once it is over; never rejects. */
  readonly ended: Promise<WeftError>;
  end(reason: WeftError): void;
}

export interface SessionOptions {
  readonly client: Client;
  readonly federation: Federation;
  readonly identity: Identity;
  readonly agentVersion: string;
  readonly onMessage: (message: CoordinatorSays) => void;
}

/** From the first byte to Welcome: a coordinator that takes longer is as good as gone. */
const handshakeTimeoutMs = 30_000;
/** A coordinator cannot ask for a heartbeat more often than this, nor so seldom that a lease means nothing. */
const heartbeatLimitsMs = { min: 250, max: 60_000 } as const;

/**
 * Opens one session and proves both sides. Every message in it is signed and counted; the first that does not hold
 * ends it.
 * @throws what refused it: WEFT_NODE_PENDING, WEFT_NODE_REVOKED, WEFT_COORDINATOR_CERTIFICATE, WEFT_SESSION_HANDSHAKE …
 */
export function openSession({
  client,
  federation,
  identity,
  agentVersion,
  onMessage,
}: SessionOptions): Promise<Session> {
  const call = callBidiStream(client, new Metadata(), NodeService.method.session);
  const opened = Promise.withResolvers<Session>();
  const ended = Promise.withResolvers<WeftError>();
  let sessionId: Uint8Array = new Uint8Array();
  let answer: Answer | undefined;
  let heartbeat: NodeJS.Timeout | undefined;
  let isOver = false;
  const counted = { sent: 0n, received: 0n };

  const end = (reason: WeftError): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(handshakeTimer);
    clearInterval(heartbeat);
    call.cancel();
    opened.reject(reason);
    ended.resolve(reason);
  };
  const handshakeTimer = setTimeout(
    () =>
      end(
        new WeftError(
          'WEFT_COORDINATOR_UNREACHABLE',
          `no session with ${federation.address} within ${handshakeTimeoutMs / 1000} seconds`,
        ),
      ),
    handshakeTimeoutMs,
  );
  const say = (message: NodeSays): void => {
    if (isOver) return;
    const envelope = sealEnvelope(
      domains.nodeMessage,
      NodeMessageSchema,
      { sessionId, sequence: counted.sent++, kind: message },
      identity,
    );
    call.write({ $typeName: 'weft.v1.SessionRequest', envelope });
  };
  const welcomed = (welcome: Welcome): void => {
    clearTimeout(handshakeTimer);
    sessionId = welcome.sessionId;
    const intervalMs = Math.min(heartbeatLimitsMs.max, Math.max(heartbeatLimitsMs.min, welcome.heartbeatIntervalMs));
    heartbeat = setInterval(() => say({ case: 'heartbeat', value: { sentAtMs: BigInt(Date.now()) } }), intervalMs);
    opened.resolve({ client, ticket: welcome.ticket, say, ended: ended.promise, end });
  };
  const receive = (message: CoordinatorMessage): void => {
    const { kind } = message;
    if (kind.case === 'refusal' && kind.value.endsSession) {
      return end(fromRefusal(kind.value));
    }
    if (answer === undefined) {
      if (kind.case !== 'challenge') throw outOfTurn(kind.case);
      answer = answerChallenge(kind.value, federation, identity);
      return say({
        case: 'hello',
        value: { transcript: answer.transcript, transcriptSignature: answer.signature, agentVersion },
      });
    }
    if (sessionId.length === 0) {
      if (kind.case !== 'welcome') throw outOfTurn(kind.case);
      checkWelcome(kind.value, answer, federation);
      return welcomed(kind.value);
    }
    if (!Buffer.from(sessionId).equals(message.sessionId))
      throw new WeftError('WEFT_SESSION_SEQUENCE', 'a message of another session came');
    if (kind.case === 'heartbeat') return;
    if (kind.case === undefined || kind.case === 'challenge' || kind.case === 'welcome') throw outOfTurn(kind.case);
    onMessage(kind);
  };

  call.on('data', (response) => {
    if (isOver) return;
    try {
      const message = openEnvelope(
        domains.coordinatorMessage,
        CoordinatorMessageSchema,
        response.envelope,
        federation.coordinatorKey,
      );
      if (message.sequence !== counted.received) {
        throw new WeftError(
          'WEFT_SESSION_SEQUENCE',
          `message ${message.sequence} came where ${counted.received} was due`,
        );
      }
      counted.received++;
      receive(message);
    } catch (error) {
      end(fromServiceError(error, federation.address));
    }
  });
  call.on('error', (error: unknown) => end(fromServiceError(error, federation.address)));
  call.on('end', () =>
    end(new WeftError('WEFT_COORDINATOR_UNREACHABLE', `the coordinator at ${federation.address} closed the session`)),
  );
  return opened.promise;
}

const outOfTurn = (said: string | undefined): WeftError =>
  new WeftError('WEFT_SESSION_HANDSHAKE', `${said ?? 'an empty message'} came out of turn`);

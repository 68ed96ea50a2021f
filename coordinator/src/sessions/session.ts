import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { NodeMessageSchema, type NodeMessage, type SessionRequest, type SessionResponse } from '@weft/proto';
import { WeftError, domains, openEnvelope, toWeftError, type Identity } from '@weft/shared';
import type { CoordinatorSays } from '../federation/ports.ts';
import { resetStream } from '../grpc/reset-stream.ts';
import type { ProvenNode } from './handshake.ts';
import type { NetworkLimits } from './limits.ts';
import { messageBytes, type MessageBytes } from './message-bytes.ts';
import type { HeldShare, Pacer } from './pacer.ts';

export type SessionCall = ServerDuplexStream<SessionRequest, SessionResponse | Uint8Array>;

const sessionIdBytes = 16;

/** The coordinator's half of one stream: numbers and signs what goes out, checks what comes in, keeps the limits. */
export interface SessionChannel {
  readonly ended: WeftError | undefined;
  /** Queues one message; false once the session has ended. @param own told to this node alone, beside what many are */
  say(message: CoordinatorSays, own?: CoordinatorSays): boolean;
  /** From here on messages are the node's: they carry this session's id and count from 1. */
  welcome(node: ProvenNode, ticket: Uint8Array): void;
  /** @throws WEFT_SIGNATURE_INVALID, WEFT_SESSION_SEQUENCE, WEFT_MESSAGE_MALFORMED, WEFT_MESSAGE_TOO_LARGE: each ends the session */
  accept(request: SessionRequest): NodeMessage['kind'];
  /** Once: the reason leaves as a signed Refusal and as the stream's status. */
  end(reason: WeftError): void;
  /** Once, without a word: the node is gone. */
  dispose(reason: WeftError): void;
  /** Told at once when the session ends, whichever way. */
  onEnded(listener: (reason: WeftError) => void): void;
}

export interface ChannelOptions {
  readonly call: SessionCall;
  readonly identity: Identity;
  readonly limits: NetworkLimits;
  readonly pacer: Pacer;
  /** Ends the stream with the status of this error. */
  readonly close: (reason: WeftError) => void;
}

export function createSessionChannel({ call, identity, limits, pacer, close }: ChannelOptions): SessionChannel {
  let ended: WeftError | undefined;
  let tellEnded: (reason: WeftError) => void = () => {};
  let node: ProvenNode | undefined;
  let sessionId: Uint8Array = new Uint8Array(0);
  let outgoing = 0n;
  let incoming = 1n; // Hello was 0
  let heartbeats: NodeJS.Timeout | undefined;
  let ageTimer: NodeJS.Timeout | undefined;
  // One timer at a time guards the silence: first until Hello, then until the lease is over.
  let silenceTimer = setTimeout(
    () => end(new WeftError('WEFT_SESSION_HANDSHAKE', `no Hello came within ${limits.handshakeMs} ms`)),
    limits.handshakeMs,
  );

  const line = pacer.open(({ sizeBytes, heldMs }: HeldShare) => {
    // Of what it does not read nothing would ever leave: neither its bytes nor the reason of the end.
    dispose(
      new WeftError(
        'WEFT_SESSION_LIMIT',
        `a message of ${sizeBytes} bytes has been on its way for ${heldMs} ms while others waited, the limit is ${limits.slowestBytesPerSec} bytes a second`,
      ),
    );
    resetStream(call);
  });
  call.once('close', () => line.close());

  const write = (message: MessageBytes, left?: () => void): void => {
    call.write(message.seal({ sessionId, sequence: outgoing++ }, identity), left);
  };

  const dispose = (reason: WeftError): void => {
    if (ended !== undefined) return;
    ended = reason;
    clearTimeout(silenceTimer);
    clearTimeout(ageTimer);
    clearInterval(heartbeats);
    line.stop();
    tellEnded(reason);
  };

  const end = (reason: WeftError): void => {
    if (ended !== undefined) return;
    dispose(reason);
    if (call.cancelled || call.destroyed) return;
    const { code, message } = reason;
    if (node !== undefined) write(messageBytes({ case: 'refusal', value: { code, message, endsSession: true } }));
    close(reason);
  };

  const say = (message: CoordinatorSays, own?: CoordinatorSays): boolean => {
    if (ended !== undefined) return false;
    const bytes = messageBytes(message, own);
    // Numbered and signed when its turn comes: until then it costs no memory that others do not share.
    line.push({ sizeBytes: bytes.sizeBytes, write: (left) => write(bytes, left) });
    if (line.queuedBytes <= limits.queueBytes) return true;
    end(
      new WeftError(
        'WEFT_SESSION_LIMIT',
        `${line.queuedBytes} bytes wait for a node that does not read, the limit is ${limits.queueBytes}`,
      ),
    );
    return false;
  };

  return {
    get ended() {
      return ended;
    },
    say,
    end,
    dispose,
    onEnded: (listener) => (tellEnded = listener),
    welcome(provenNode, ticket) {
      node = provenNode;
      sessionId = randomBytes(sessionIdBytes);
      clearTimeout(silenceTimer);
      silenceTimer = setTimeout(
        () => end(new WeftError('WEFT_SESSION_IDLE', `nothing came from the node for ${limits.idleMs} ms`)),
        limits.idleMs,
      );
      ageTimer = setTimeout(
        () => end(new WeftError('WEFT_SESSION_AGE', `the session is ${limits.ageMs} ms old, its limit`)),
        limits.ageMs,
      );
      heartbeats = setInterval(
        () => say({ case: 'heartbeat', value: { sentAtMs: BigInt(Date.now()) } }),
        limits.heartbeatMs,
      );
      for (const timer of [silenceTimer, ageTimer, heartbeats]) timer.unref();
      const { coordinatorSignature } = provenNode;
      say({
        case: 'welcome',
        value: {
          transcriptSignature: coordinatorSignature,
          sessionId,
          ticket,
          heartbeatIntervalMs: limits.heartbeatMs,
        },
      });
    },
    accept({ envelope }) {
      if (node === undefined) throw new WeftError('WEFT_INTERNAL', 'a message was taken before the handshake');
      checkSize(envelope?.body.length ?? 0, limits);
      const message = openEnvelope(domains.nodeMessage, NodeMessageSchema, envelope, node.publicKey);
      if (message.sessionId.length !== sessionIdBytes || !timingSafeEqual(message.sessionId, sessionId)) {
        throw new WeftError('WEFT_SESSION_SEQUENCE', 'the message belongs to another session');
      }
      if (message.sequence !== incoming) {
        throw new WeftError(
          'WEFT_SESSION_SEQUENCE',
          `the message has number ${message.sequence}, ${incoming} was next`,
        );
      }
      incoming += 1n;
      silenceTimer.refresh();
      if (message.kind.case === undefined)
        throw new WeftError('WEFT_MESSAGE_MALFORMED', 'the message says nothing that is known here');
      if (message.kind.case === 'hello') throw new WeftError('WEFT_SESSION_HANDSHAKE', 'Hello came twice');
      return message.kind;
    },
  };
}

/** @throws WEFT_MESSAGE_TOO_LARGE */
export function checkSize(sizeBytes: number, limits: NetworkLimits): void {
  if (sizeBytes > limits.messageBytes) {
    throw new WeftError(
      'WEFT_MESSAGE_TOO_LARGE',
      `the message has ${sizeBytes} bytes, the limit is ${limits.messageBytes}`,
    );
  }
}

/** What a refused message was about, so that the node knows which round it concerns. */
export function toRefusal(error: unknown, about: NodeMessage['kind']): CoordinatorSays {
  const { code, message } = toWeftError(error);
  const subject =
    about.value !== undefined && 'runId' in about.value ? { runId: about.value.runId, round: about.value.round } : {};
  return { case: 'refusal', value: { code, message, endsSession: false, ...subject } };
}

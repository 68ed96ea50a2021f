import type { CertificateRenewal, NodeMessage, SessionRequest } from '@weft/proto';
import { WeftError, protocolVersion, toWeftError, type FederationId, type Identity, type NodeId } from '@weft/shared';
import type { Logger } from 'pino';
import type { CoordinatorSays, NodeGateway, RunInbox } from '../federation/ports.ts';
import { toServiceError } from '../grpc/edge.ts';
import { createMessageReader } from '../grpc/message-reader.ts';
import { resetStream } from '../grpc/reset-stream.ts';
import type { Registry } from '../registry/registry.ts';
import { createNonce, verifyHello, type ProvenNode } from './handshake.ts';
import { systemClock } from '../runs/clock.ts';
import type { NetworkLimits } from './limits.ts';
import { createPacer } from './pacer.ts';
import { checkSize, createSessionChannel, toRefusal, type SessionCall, type SessionChannel } from './session.ts';
import type { Tickets } from './tickets.ts';

export interface SessionsOptions {
  readonly identity: Identity;
  readonly federationId: FederationId;
  readonly registry: Registry;
  readonly tickets: Tickets;
  readonly limits: NetworkLimits;
  readonly logger: Logger;
  /** The certificate that is to come, if there is one: every node hears of it at the start of its session. */
  readonly certificateRenewal?: () => CertificateRenewal | undefined;
  /** What a node says of its work, for those who watch. */
  readonly onSaid?: (nodeId: NodeId, said: NodeMessage['kind']) => void;
}

/** What is known of a node since this process started. */
export interface Presence {
  readonly connected: boolean;
  readonly lastSeenAt: number;
  readonly agentVersion: string;
}

export interface Sessions {
  readonly gateway: NodeGateway;
  /** Serves one stream to its end; never rejects. */
  serve(call: SessionCall, inbox: RunInbox): Promise<void>;
  presence(nodeId: NodeId): Presence | undefined;
  sendAll(message: CoordinatorSays): void;
  endAll(reason: WeftError): void;
}

/** Nodes have so much less time to answer. */
const noticedWaitMs = 1000;

/** What a stranger has to take in why it was refused. */
const partingMs = 1000;

interface OpenSession {
  readonly channel: SessionChannel;
  end(reason: WeftError): void;
}

export function createSessions(options: SessionsOptions): Sessions {
  const { identity, federationId, registry, tickets, limits, logger } = options;
  const open = new Map<NodeId, OpenSession>();
  const presences = new Map<NodeId, { lastSeenAt: number; agentVersion: string }>();
  const pacer = createPacer({
    ...limits,
    clock: systemClock,
    onCaughtUp({ messages, longestMs }) {
      if (longestMs >= noticedWaitMs) logger.warn({ messages, longestMs }, 'messages waited for their turn');
    },
  });
  let streams = 0;
  /** Oldest first. */
  const strangers = new Map<SessionChannel, SessionCall>();

  const full = (sessions: number, limit: number): WeftError =>
    new WeftError('WEFT_SESSION_LIMIT', `${sessions} sessions are open, the limit is ${limit}`);

  async function readHello(
    requests: ReturnType<typeof createMessageReader<SessionRequest>>,
    challenge: Uint8Array,
    channel: SessionChannel,
    call: SessionCall,
  ): Promise<ProvenNode> {
    strangers.set(channel, call);
    try {
      const [oldest] = strangers;
      if (strangers.size > limits.handshakes) {
        const [stranger, itsCall] = oldest!;
        strangers.delete(stranger);
        stranger.dispose(new WeftError('WEFT_SESSION_LIMIT', `more than ${limits.handshakes} handshakes at once`));
        resetStream(itsCall);
      }
      const first = await requests.next();
      if (first === undefined) throw new WeftError('WEFT_SESSION_HANDSHAKE', 'the stream ended before Hello');
      checkSize(first.envelope?.body.length ?? 0, limits);
      return verifyHello(first.envelope, challenge, { identity, federationId, registry });
    } catch (error) {
      // Who does not read would keep the stream, and with it a place, behind the reason that it never takes.
      setTimeout(() => resetStream(call), partingMs).unref();
      throw error;
    } finally {
      strangers.delete(channel);
    }
  }

  async function converse(call: SessionCall, channel: SessionChannel, inbox: RunInbox): Promise<void> {
    // Ended streams of peers that do not read are among these.
    const mostStreams = limits.sessions + 2 * limits.handshakes;
    if (streams > mostStreams) throw full(streams, mostStreams);
    const challenge = createNonce();
    channel.say({
      case: 'challenge',
      value: { protocolVersion, federationId, coordinatorKey: identity.publicKey, coordinatorNonce: challenge },
    });
    const requests = createMessageReader<SessionRequest>(call);
    const node = await readHello(requests, challenge, channel, call);
    const { nodeId, agentVersion } = node;

    if (open.size >= limits.sessions && !open.has(nodeId)) throw full(open.size, limits.sessions);
    open.get(nodeId)?.end(new WeftError('WEFT_SESSION_REPLACED', `node ${nodeId} started another session`, { nodeId }));
    const issued = tickets.issue(nodeId);
    const session: OpenSession = {
      channel,
      end(reason) {
        if (open.get(nodeId) !== session) return;
        // The ticket goes first: nothing of this session is served from here on.
        open.delete(nodeId);
        issued.end(reason);
        channel.end(reason);
        logger.info({ nodeId, code: reason.code }, 'session ended');
        try {
          inbox.nodeDisconnected(nodeId);
        } catch (error) {
          // Whoever ends a session has other things to do; the node's lease runs out in any case.
          logger.error({ nodeId, err: error }, 'the runs could not take note of a disconnection');
        }
      },
    };
    open.set(nodeId, session);
    channel.onEnded((reason) => session.end(reason));
    presences.set(nodeId, { lastSeenAt: Date.now(), agentVersion });
    try {
      channel.welcome(node, issued.ticket);
      const renewal = options.certificateRenewal?.();
      if (renewal !== undefined) channel.say({ case: 'certificateRenewal', value: renewal });
      logger.info({ nodeId, agentVersion }, 'session started');
      inbox.nodeConnected(nodeId);
      for (let request = await requests.next(); request !== undefined; request = await requests.next()) {
        if (channel.ended !== undefined) return;
        await take(nodeId, channel.accept(request), channel, inbox);
        presences.set(nodeId, { lastSeenAt: Date.now(), agentVersion });
      }
      channel.dispose(new WeftError('WEFT_SESSION_IDLE', 'the node closed the session, or its connection broke'));
    } catch (error) {
      channel.end(toWeftError(error));
    } finally {
      session.end(channel.ended ?? new WeftError('WEFT_INTERNAL', 'a session ended without a reason'));
    }
  }

  async function take(
    nodeId: NodeId,
    said: NodeMessage['kind'],
    channel: SessionChannel,
    inbox: RunInbox,
  ): Promise<void> {
    options.onSaid?.(nodeId, said);
    try {
      await inbox.receive(nodeId, said);
    } catch (error) {
      const { code, cause } = toWeftError(error);
      logger.info(
        { nodeId, code, said: said.case, ...(code === 'WEFT_INTERNAL' && { err: cause }) },
        'message refused',
      );
      channel.say(toRefusal(error, said));
    }
  }

  return {
    async serve(call, inbox) {
      streams += 1;
      // The last word has left, or nobody is there to hear it. A peer that never reads keeps its place until then.
      const left = (): void => {
        call.off('finish', left).off('close', left);
        streams -= 1;
      };
      call.on('finish', left).on('close', left);
      const channel = createSessionChannel({
        call,
        identity,
        limits,
        pacer,
        close: (reason) => call.emit('error', toServiceError(reason, logger, 'Session')),
      });
      try {
        await converse(call, channel, inbox);
        if (!call.writableEnded) call.end();
      } catch (error) {
        channel.end(toWeftError(error));
      }
    },
    presence(nodeId) {
      const presence = presences.get(nodeId);
      return presence && { ...presence, connected: open.has(nodeId) };
    },
    sendAll(message) {
      for (const { channel } of open.values()) channel.say(message);
    },
    endAll(reason) {
      for (const session of open.values()) session.end(reason);
    },
    gateway: {
      connected: () => [...open.keys()],
      send: (nodeId, message, own) => open.get(nodeId)?.channel.say(message, own) ?? false,
      end: (nodeId, reason) => open.get(nodeId)?.end(reason),
    },
  };
}

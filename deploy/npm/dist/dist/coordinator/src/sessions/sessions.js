                                                                                   
import { WeftError, protocolVersion, toWeftError,                                               } from '../../../shared/src/index.js';
                                   
                                                                    
import { toServiceError } from '../grpc/edge.js';
                                                        
import { createNonce, verifyHello } from './handshake.js';
                                                 
import { checkSize, createSessionChannel, toRefusal,                                       } from './session.js';
                                            

                                  
                              
                                      
                              
                            
                                 
                          
                                                                                                              
                                                                     
                                                           
                                                                        
 

/** What is known of a node since this process started. */
                           
                              
                              
                                
 

                           
                                
                                                     
                                                           
                                                 
                                  
 

                       
                                   
                               
 

export function createSessions(options                 )           {
  const { identity, federationId, registry, tickets, limits, logger } = options;
  const open = new Map                     ();
  const presences = new Map                                                      ();
  let streams = 0;

  async function converse(call             , channel                , inbox          )                {
    if (streams > limits.sessions) {
      throw new WeftError('WEFT_SESSION_LIMIT', `${streams} sessions are open, the limit is ${limits.sessions}`);
    }
    const challenge = createNonce();
    channel.say({
      case: 'challenge',
      value: { protocolVersion, federationId, coordinatorKey: identity.publicKey, coordinatorNonce: challenge },
    });
    // destroyOnReturn would take the stream away before its status has left.
    const requests = call.iterator({ destroyOnReturn: false })                                         ;
    const first = await requests.next();
    if (first.done === true) throw new WeftError('WEFT_SESSION_HANDSHAKE', 'the stream ended before Hello');
    checkSize(first.value.envelope?.body.length ?? 0, limits);
    const node = verifyHello(first.value.envelope, challenge, { identity, federationId, registry });
    const { nodeId, agentVersion } = node;

    open.get(nodeId)?.end(new WeftError('WEFT_SESSION_REPLACED', `node ${nodeId} started another session`, { nodeId }));
    const issued = tickets.issue(nodeId);
    const session              = {
      channel,
      end(reason) {
        if (open.get(nodeId) !== session) return;
        // The ticket goes first: nothing of this session is served from here on.
        open.delete(nodeId);
        issued.end(reason);
        channel.end(reason);
        inbox.nodeDisconnected(nodeId);
        logger.info({ nodeId, code: reason.code }, 'session ended');
      },
    };
    open.set(nodeId, session);
    presences.set(nodeId, { lastSeenAt: Date.now(), agentVersion });
    try {
      channel.welcome(node, issued.ticket);
      const renewal = options.certificateRenewal?.();
      if (renewal !== undefined) channel.say({ case: 'certificateRenewal', value: renewal });
      logger.info({ nodeId, agentVersion }, 'session started');
      inbox.nodeConnected(nodeId);
      for await (const request of requests) {
        if (channel.ended !== undefined) return;
        await take(nodeId, channel.accept(request), channel, inbox);
        presences.set(nodeId, { lastSeenAt: Date.now(), agentVersion });
      }
      channel.dispose(new WeftError('WEFT_SESSION_IDLE', 'the node closed the session'));
    } catch (error) {
      // A stream that broke has nobody left to tell; one that was ended has been told.
      if (call.cancelled) channel.dispose(new WeftError('WEFT_SESSION_IDLE', 'the connection to the node broke'));
      else channel.end(toWeftError(error));
    } finally {
      session.end(channel.ended ?? new WeftError('WEFT_INTERNAL', 'a session ended without a reason'));
    }
  }

  async function take(nodeId        , said                     , channel                , inbox          )                {
    options.onSaid?.(nodeId, said);
    try {
      await inbox.receive(nodeId, said);
    } catch (error) {
      const { code, cause } = toWeftError(error);
      logger.info({ nodeId, code, said: said.case, ...(code === 'WEFT_INTERNAL' && { err: cause }) }, 'message refused');
      channel.say(toRefusal(error, said));
    }
  }

  return {
    async serve(call, inbox) {
      streams += 1;
      // The last word has left, or nobody is there to hear it. A peer that never reads keeps its place until then.
      const left = ()       => {
        call.off('finish', left).off('close', left);
        streams -= 1;
      };
      call.on('finish', left).on('close', left);
      const channel = createSessionChannel({
        call,
        identity,
        limits,
        close: (reason) => call.emit('error', toServiceError(reason, logger, 'Session')),
      });
      try {
        await converse(call, channel, inbox);
        if (channel.ended !== undefined && !call.writableEnded) call.end();
      } catch (error) {
        if (call.cancelled) channel.dispose(toWeftError(error));
        else channel.end(toWeftError(error));
      }
    },
    presence(nodeId) {
      const presence = presences.get(nodeId);
      return presence && { ...presence, connected: open.has(nodeId) };
    },
    endAll(reason) {
      for (const session of open.values()) session.end(reason);
    },
    gateway: {
      connected: () => [...open.keys()],
      send: (nodeId, message) => open.get(nodeId)?.channel.say(message) ?? false,
      end: (nodeId, reason) => open.get(nodeId)?.end(reason),
    },
  };
}

import { setTimeout as sleep } from 'node:timers/promises';
import { isWeftError, WeftError,                               } from '../../../shared/src/index.js';
                                                             
import { openClient } from '../network/coordinator-client.js';
import { fromServiceError } from '../network/service-error.js';
                                                     
import { openSession,                                                   } from './session.js';

/** The session, kept open: what outlives a broken line and a coordinator that restarts. */
                             
                                                                            
                                                 
                                                                           
                                  
 

                                    
                                                                        
                                        
                              
                                
                            
                             
                                                
                                              
                                                    
                                                      
                                                         
                                                                    
                               
 

                          
                           
                         
 

const defaultBackoff          = { firstMs: 500, maxMs: 30_000 };
/** An admin who has just pressed the button should not have to wait. */
const pendingRetryMs = 3000;

/** A new attempt would end the same way until somebody does something. */
const final                         = new Set([
  'WEFT_NODE_REVOKED',
  'WEFT_NODE_UNKNOWN',
  'WEFT_WRONG_FEDERATION',
  'WEFT_PROTOCOL_VERSION',
  'WEFT_SESSION_REPLACED',
]);

/**
 * Opens sessions one after the other until the signal ends it or the coordinator says that there is no use.
 * @returns the connection, and a promise that rejects with the reason, WEFT_NODE_LEAVING where it was the signal
 */
export function keepConnected(options                   )                                                   {
  const { signal } = options;
  let current                     ;
  let next = Promise.withResolvers         ();
  // nobody may be waiting when the end comes
  next.promise.catch(() => {});

  const once = async ()                     => {
    const federation = options.federation();
    const pins = { address: federation.address, certificates: federation.certificates.map(({ der }) => der) };
    const client = openClient(pins, options.traffic, options.onCertificate);
    try {
      const { identity, agentVersion, onMessage } = options;
      const session = await openSession({ client, federation, identity, agentVersion, onMessage });
      const leave = ()       => session.end(leaving());
      signal.addEventListener('abort', leave, { once: true });
      if (signal.aborted) leave();
      current = session;
      next.resolve(session);
      options.onOpen(session);
      const reason = await session.ended;
      signal.removeEventListener('abort', leave);
      return reason;
    } catch (error) {
      return fromServiceError(error, federation.address);
    } finally {
      client.close();
    }
  };

  const run = async ()                 => {
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      options.onAttempt(attempt);
      const reason = await once();
      if (current !== undefined) {
        current = undefined;
        next = Promise.withResolvers();
        next.promise.catch(() => {});
        attempt = 0;
      }
      if (final.has(reason.code) || signal.aborted) throw reason;
      const retryInMs = reason.code === 'WEFT_NODE_PENDING' ? jitter(pendingRetryMs) : delayMs(attempt, options.backoff ?? defaultBackoff);
      options.onClosed(reason, retryInMs);
      await sleep(retryInMs, undefined, { signal });
    }
  };

  const over = run().catch((error         ) => {
    const reason = isWeftError(error) ? error : signal.aborted ? leaving() : fromServiceError(error, options.federation().address);
    next.reject(reason);
    throw reason;
  });
  const connection             = {
    session: (waiting) => untilAborted(next.promise, waiting),
    say(message) {
      current?.say(message);
      return current !== undefined;
    },
  };
  return { connection, over };
}

const leaving = ()            => new WeftError('WEFT_NODE_LEAVING', 'this node was stopped');

/** Half to all of it, so that a hundred nodes do not come back in one instant. */
const jitter = (ms        )         => Math.round(ms * (0.5 + Math.random() / 2));

const delayMs = (attempt        , { firstMs, maxMs }         )         => jitter(Math.min(maxMs, firstMs * 2 ** Math.min(attempt, 20)));

async function untilAborted   (promise            , signal             )             {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers       ();
  const abort = ()       => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

import { WeftError } from '../../../shared/src/index.js';
                                                                    
                                                           

/** What a transfer needs of a gRPC call to know that the other side is gone. */
                           
                              
                                                        
 

/** One running transfer: whose it is, and one promise for everything that can end it early. */
                           
                                
                                                                                           
                                        
 

/** Counts each node's transfers, so that one node cannot hold every file handle. */
                                                                                                                                  

export function createTransferGate(tickets         , limits               )               {
  const running = new Map                ();
  return async (call, ticket, work) => {
    const holder = tickets.redeem(ticket);
    const { nodeId } = holder;
    const count = running.get(nodeId) ?? 0;
    if (count >= limits.transfersPerNode) {
      throw new WeftError('WEFT_SESSION_LIMIT', `node ${nodeId} has ${count} transfers open, the limit is ${limits.transfersPerNode}`);
    }
    running.set(nodeId, count + 1);
    try {
      return await work({ holder, step: createStep(call, holder.signal, limits.transferIdleMs) });
    } finally {
      const left = (running.get(nodeId) ?? 1) - 1;
      if (left === 0) running.delete(nodeId);
      else running.set(nodeId, left);
    }
  };
}

function createStep(call                 , signal             , idleMs        )                   {
  let stop                            = () => {};
  const cancelled = new Promise       ((_resolve, reject) => (stop = reject));
  cancelled.catch(() => {});
  const onAbort = () => stop(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  call.on('cancelled', () => stop(new WeftError('WEFT_TRANSFER_TRUNCATED', 'the other side gave the transfer up')));
  return async (work) => {
    let timer                            ;
    const idle = new Promise       ((_resolve, reject) => {
      timer = setTimeout(() => reject(new WeftError('WEFT_SESSION_IDLE', `the transfer stood still for ${idleMs} ms`)), idleMs);
    });
    try {
      return await Promise.race([work, cancelled, idle]);
    } finally {
      clearTimeout(timer);
    }
  };
}

/** A uint64 of the wire as an offset. @throws WEFT_TRANSFER_OFFSET */
export function toOffset(offset        , sizeBytes         = Number.MAX_SAFE_INTEGER)         {
  if (offset > BigInt(sizeBytes)) throw new WeftError('WEFT_TRANSFER_OFFSET', `offset ${offset} lies behind the end, ${sizeBytes}`);
  return Number(offset);
}

import { randomBytes, timingSafeEqual } from 'node:crypto';
import { WeftError, sha256,                          } from '../../../shared/src/index.js';

/** What a transfer may act on: the node that a ticket was issued to, and word when that ends. */
                               
                          
                                                                                                      
                               
 

/** Tickets prove an open session to Download, Upload and UploadStatus. They live in memory: a restart ends them all. */
                          
                                                     
                                                                                       
                                                                                      
                                           
 

const ticketBytes = 32;

export function createTickets()          {
  // Kept by hash, so the look-up takes no shorter for a ticket that is nearly right.
  const holders = new Map                                                                        ();
  return {
    issue(nodeId) {
      const ticket = randomBytes(ticketBytes);
      const controller = new AbortController();
      const key = sha256(ticket);
      holders.set(key, { ticket, holder: { nodeId, signal: controller.signal } });
      return {
        ticket,
        end(reason) {
          holders.delete(key);
          controller.abort(reason);
        },
      };
    },
    redeem(ticket) {
      const entry = ticket.length === ticketBytes ? holders.get(sha256(ticket)) : undefined;
      if (entry === undefined || !timingSafeEqual(entry.ticket, ticket)) {
        throw new WeftError('WEFT_TICKET_INVALID', 'this ticket belongs to no open session');
      }
      return entry.holder;
    },
  };
}

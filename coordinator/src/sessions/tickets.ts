import { randomBytes, timingSafeEqual } from 'node:crypto';
import { WeftError, sha256, type NodeId, type Sha256 } from '@weft/shared';

/** What a transfer may act on: the node that a ticket was issued to, and word when that ends. */
export interface TicketHolder {
  readonly nodeId: NodeId;
  /** Aborted with the reason when the session ends or the node is revoked; transfers stop at once. */
  readonly signal: AbortSignal;
}

/** Tickets prove an open session to Download, Upload and UploadStatus. They live in memory: a restart ends them all. */
export interface Tickets {
  /** @returns 32 random bytes, and what ends them */
  issue(nodeId: NodeId): { readonly ticket: Uint8Array; end(reason: WeftError): void };
  /** @throws WEFT_TICKET_INVALID, the same for a wrong, an ended and a foreign one */
  redeem(ticket: Uint8Array): TicketHolder;
}

const ticketBytes = 32;

export function createTickets(): Tickets {
  // Kept by hash, so the look-up takes no shorter for a ticket that is nearly right.
  const holders = new Map<Sha256, { readonly ticket: Uint8Array; readonly holder: TicketHolder }>();
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

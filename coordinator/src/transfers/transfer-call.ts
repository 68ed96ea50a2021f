import { WeftError } from '@weft/shared';
import type { TicketHolder, Tickets } from '../sessions/tickets.ts';
import type { NetworkLimits } from '../sessions/limits.ts';

/** What a transfer needs of a gRPC call to know that the other side is gone. */
interface CancellableCall {
  readonly cancelled: boolean;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** One running transfer: whose it is, and one promise for everything that can end it early. */
export interface Transfer {
  readonly holder: TicketHolder;
  /** Waits for one step, no longer than the idle limit, the session and the call allow. */
  readonly step: <T>(work: Promise<T>) => Promise<T>;
}

/** Counts each node's transfers, so that one node cannot hold every file handle. */
export type OpenTransfer = <T>(
  call: CancellableCall,
  ticket: Uint8Array,
  work: (transfer: Transfer) => Promise<T>,
) => Promise<T>;

export function createTransferGate(tickets: Tickets, limits: NetworkLimits): OpenTransfer {
  const running = new Map<string, number>();
  return async (call, ticket, work) => {
    const holder = tickets.redeem(ticket);
    const { nodeId } = holder;
    const count = running.get(nodeId) ?? 0;
    if (count >= limits.transfersPerNode) {
      throw new WeftError(
        'WEFT_SESSION_LIMIT',
        `node ${nodeId} has ${count} transfers open, the limit is ${limits.transfersPerNode}`,
      );
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

function createStep(call: CancellableCall, signal: AbortSignal, idleMs: number): Transfer['step'] {
  let stop: (reason: unknown) => void = () => {};
  const cancelled = new Promise<never>((_resolve, reject) => (stop = reject));
  cancelled.catch(() => {});
  const onAbort = () => stop(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  call.on('cancelled', () => stop(new WeftError('WEFT_TRANSFER_TRUNCATED', 'the other side gave the transfer up')));
  return async (work) => {
    let timer: NodeJS.Timeout | undefined;
    const idle = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(new WeftError('WEFT_SESSION_IDLE', `the transfer stood still for ${idleMs} ms`)),
        idleMs,
      );
    });
    try {
      return await Promise.race([work, cancelled, idle]);
    } finally {
      clearTimeout(timer);
    }
  };
}

/** A uint64 of the wire as an offset. @throws WEFT_TRANSFER_OFFSET */
export function toOffset(offset: bigint, sizeBytes: number = Number.MAX_SAFE_INTEGER): number {
  if (offset > BigInt(sizeBytes))
    throw new WeftError('WEFT_TRANSFER_OFFSET', `offset ${offset} lies behind the end, ${sizeBytes}`);
  return Number(offset);
}

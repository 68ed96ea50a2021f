import type { Readable } from 'node:stream';

/** The messages of a call, one at a time, so that a slow consumer slows its producer down. */
export interface MessageReader<T> {
  /** undefined once the other side has half-closed, the call has failed, or it was cancelled. */
  next(): Promise<T | undefined>;
}

/**
 * Not `for await`: the stream's own iterator destroys a stream that ends with an error, and with it the status that is
 * still to be sent.
 */
export function createMessageReader<T>(call: Readable): MessageReader<T> {
  let over = false;
  let wake = (): void => {};
  call.on('readable', () => wake());
  for (const event of ['end', 'close', 'error']) {
    call.on(event, () => {
      over = true;
      wake();
    });
  }
  return {
    async next() {
      for (;;) {
        const message = call.read() as T | null;
        if (message !== null) return message;
        if (over || call.destroyed) return undefined;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
}

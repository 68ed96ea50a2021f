import { createEventStreamParser } from './event-stream.ts';
import { RequestError, fetchOrThrow, readRefusal } from './request.ts';

/** How far a stream was read; kept by the caller, so that a later `follow` goes on from there. */
export interface Position {
  lastEventId: string;
}

export interface Following {
  readonly signal: AbortSignal;
  readonly position: Position;
  onOpen(): void;
  onEvent(data: unknown): void;
  /** The stream broke; it is opened again after a pause. */
  onLost(): void;
  /** The session is over: no further try. */
  onLoggedOut(): void;
}

const pauseMs = { first: 500, longest: 10_000 };

const pause = async (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });

/** Follows a stream of Server-Sent Events until the signal; after a break it goes on behind the last event. */
export const follow = async (path: string, following: Following): Promise<void> => {
  const { signal, position } = following;
  let waitMs = pauseMs.first;
  while (!signal.aborted) {
    try {
      const response = await fetchOrThrow(path, {
        headers: {
          accept: 'text/event-stream',
          ...(position.lastEventId !== '' && { 'last-event-id': position.lastEventId }),
        },
        signal,
      });
      if (!response.ok || response.body === null) throw await readRefusal(response);
      following.onOpen();
      waitMs = pauseMs.first;
      const parser = createEventStreamParser(position.lastEventId);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        for (const { data } of parser.push(piece.value)) following.onEvent(JSON.parse(data));
        position.lastEventId = parser.lastEventId;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof RequestError && error.status === 401) {
        following.onLoggedOut();
        return;
      }
    }
    if (signal.aborted) return;
    following.onLost();
    await pause(waitMs, signal);
    waitMs = Math.min(waitMs * 2, pauseMs.longest);
  }
};

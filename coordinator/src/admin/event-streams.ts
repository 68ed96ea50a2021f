import type { ServerResponse } from 'node:http';
import type { EventView } from '@weft/shared';
import type { StoredEvent } from '../store/events.ts';
import type { Store } from '../store/store.ts';

/** A stream without a word looks dead to what stands between. */
const keepAliveMs = 15_000;
/** A browser that does not read: it is cut off, and resumes by Last-Event-ID. */
const maxUnreadBytes = 4 << 20;
/** What somebody sees who comes without a Last-Event-ID; older rows are asked for by number. */
const firstGlanceRows = 500;

export interface EventStream {
  send(event: { id?: number; kind: string; data: unknown }): void;
  onClose(listener: () => void): void;
  close(): void;
}

/** Answers with Server-Sent Events; https://html.spec.whatwg.org/multipage/server-sent-events.html */
export function openEventStream(response: ServerResponse, headers: Readonly<Record<string, string>>): EventStream {
  response.writeHead(200, {
    ...headers,
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  const write = (text: string): void => {
    if (response.destroyed || response.writableEnded) return;
    response.write(text);
    if (response.writableLength > maxUnreadBytes) response.destroy();
  };
  write('retry: 1000\n\n');
  const keepAlive = setInterval(() => write(':\n\n'), keepAliveMs);
  keepAlive.unref();
  response.on('close', () => clearInterval(keepAlive));
  return {
    send: ({ id, kind, data }) =>
      write(`${id === undefined ? '' : `id: ${id}\n`}event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`),
    onClose: (listener) => void response.on('close', listener),
    close: () => void response.end(),
  };
}

/** The event table from a row on, then each row as it becomes durable: nothing twice, nothing left out. */
export function streamEvents(store: Store, stream: EventStream, afterSeq: number | undefined): void {
  let sent = afterSeq ?? -1;
  const take = (event: StoredEvent): void => {
    if (event.seq <= sent) return;
    sent = event.seq;
    stream.send({ id: event.seq, kind: event.kind, data: toEventView(event) });
  };
  // One tick: no row can come between what is read and what is told.
  for (const event of afterSeq === undefined ? store.read().slice(-firstGlanceRows) : store.read({ afterSeq }))
    take(event);
  stream.onClose(store.subscribe(take));
}

/**
 * A row as the admin sees it. Signed bodies are evidence for an audit and stay in the store; where files lie on this
 * machine is nobody's business elsewhere.
 */
export function toEventView({ seq, at, kind, runId, round, nodeId, data }: StoredEvent): EventView {
  const {
    update: _update,
    body: _body,
    offer: _offer,
    signature: _signature,
    path: _path,
    files: _files,
    ...shown
  } = data as Record<string, unknown>;
  return { seq, at, kind, runId: runId ?? null, round: round ?? null, nodeId: nodeId ?? null, data: shown };
}

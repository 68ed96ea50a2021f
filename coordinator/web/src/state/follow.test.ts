import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { follow } from './follow.ts';

/** Answers the requests for a stream one after the other. */
const serve = async (answers: readonly ((request: IncomingMessage, response: ServerResponse) => void)[]) => {
  let asked = 0;
  const server = createServer((request, response) => answers[asked++]?.(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
};

const stream = (response: ServerResponse, text: string): void => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(text);
};

describe('follow', () => {
  it('goes on behind the last event after a break', async () => {
    const heard: unknown[] = [];
    const said: string[] = [];
    let resumedBehind: string | string[] | undefined;
    const stop = new AbortController();
    const server = await serve([
      (_, response) => {
        stream(response, 'id: 1\nevent: a\ndata: 1\n\nid: 2\nevent: b\ndata: 2\n\nid: 3\nda');
        response.end();
      },
      (request, response) => {
        resumedBehind = request.headers['last-event-id'];
        stream(response, 'id: 3\nevent: c\ndata: 3\n\n');
      },
    ]);
    const position = { lastEventId: '' };
    await follow(server.url, {
      signal: stop.signal,
      position,
      onOpen: () => said.push('open'),
      onEvent: (data) => {
        heard.push(data);
        if (data === 3) stop.abort();
      },
      onLost: () => said.push('lost'),
      onLoggedOut: () => said.push('logged out'),
    });
    server.close();
    expect(heard).toEqual([1, 2, 3]);
    expect(said).toEqual(['open', 'lost', 'open']);
    expect(resumedBehind).toBe('2');
    expect(position.lastEventId).toBe('3');
  });

  it('gives up where the session is over', async () => {
    const said: string[] = [];
    const server = await serve([(_, response) => response.writeHead(401).end()]);
    await follow(server.url, {
      signal: new AbortController().signal,
      position: { lastEventId: '' },
      onOpen: () => said.push('open'),
      onEvent: () => {},
      onLost: () => said.push('lost'),
      onLoggedOut: () => said.push('logged out'),
    });
    server.close();
    expect(said).toEqual(['logged out']);
  });
});

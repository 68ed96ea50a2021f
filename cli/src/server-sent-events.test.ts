import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readServerSentEvents, type ServerSentEvent } from './server-sent-events.ts';

const read = async (pieces: Iterable<Uint8Array>): Promise<ServerSentEvent[]> => {
  const events: ServerSentEvent[] = [];
  for await (const event of readServerSentEvents(toStream(pieces))) events.push(event);
  return events;
};
async function* toStream(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

describe('server-sent events', () => {
  it('are read wherever the bytes are cut, characters of several bytes among them', async () => {
    const bytes = Buffer.from(
      'retry: 1000\n\nid: 7\nevent: run.started\ndata: {"name":"Bücherei 図書館"}\n\n:\n\nevent: x\ndata: 2\n\n',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 8 }), async (cuts) => {
        const at = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        const events = await read(at.slice(1).map((end, index) => bytes.subarray(at[index], end)));
        expect(events).toEqual([
          { id: '7', kind: 'run.started', data: '{"name":"Bücherei 図書館"}' },
          { id: undefined, kind: 'x', data: '2' },
        ]);
      }),
    );
  });

  it('that never end are refused', async () => {
    const piece = new Uint8Array(1 << 20).fill(97);
    await expect(read(Array.from({ length: 8 }, () => piece))).rejects.toThrow(/characters/);
  });
});

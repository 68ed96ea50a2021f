import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEventStreamParser } from './event-stream.ts';

describe('createEventStreamParser', () => {
  it('reads kind, data and id of an event', () => {
    const parser = createEventStreamParser();
    expect(parser.push('id: 7\nevent: round.started\ndata: {"seq":7}\n\n')).toEqual([
      { kind: 'round.started', data: '{"seq":7}' },
    ]);
    expect(parser.lastEventId).toBe('7');
  });

  it('joins data lines, ignores comments and unknown fields, takes off one space only', () => {
    const parser = createEventStreamParser();
    expect(parser.push(': heartbeat\nretry: 10\ndata:  a\ndata:b\ndata\n\n')).toEqual([
      { kind: 'message', data: ' a\nb\n' },
    ]);
  });

  it('gives no event without data, and forgets its kind', () => {
    const parser = createEventStreamParser();
    expect(parser.push('event: lost\n\ndata: x\n\n')).toEqual([{ kind: 'message', data: 'x' }]);
  });

  it('holds an unfinished event back, and starts from the id it was given', () => {
    const parser = createEventStreamParser('41');
    expect(parser.push('event: a\ndata: 1')).toEqual([]);
    expect(parser.lastEventId).toBe('41');
    expect(parser.push('2\n\n')).toEqual([{ kind: 'a', data: '12' }]);
  });

  it('gives the same events wherever the bytes are cut and however lines end', () => {
    const event = fc.record({ kind: fc.stringMatching(/^[a-z]{1,6}$/), data: fc.stringMatching(/^[!-9;-~]{1,12}$/) });
    fc.assert(
      fc.property(
        fc.array(event),
        fc.constantFrom('\n', '\r', '\r\n'),
        fc.infiniteStream(fc.integer({ min: 1, max: 5 })),
        (events, end, sizes) => {
          const text = events
            .map(({ kind, data }, seq) => `id: ${seq}${end}event: ${kind}${end}data: ${data}${end}${end}`)
            .join('');
          const parser = createEventStreamParser();
          const parsed = [];
          for (let start = 0; start < text.length;) {
            const size = sizes.next().value ?? 1;
            parsed.push(...parser.push(text.slice(start, start + size)));
            start += size;
          }
          expect(parsed).toEqual(events);
        },
      ),
    );
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createManualClock } from '../runs/clock.ts';
import { createPacer, type HeldShare, type PacerOptions, type Waited } from './pacer.ts';

const kilobyte = 1024;

/** Streams that take what they are handed when the test says so. */
function openStreams(count: number, options: Partial<PacerOptions> = {}) {
  const clock = createManualClock();
  const waits: Waited[] = [];
  const pacer = createPacer({
    clock,
    inFlightBytes: 300 * kilobyte,
    slowestBytesPerSec: 100 * kilobyte,
    graceMs: 2000,
    stallMs: 30_000,
    onCaughtUp: (waited) => waits.push(waited),
    ...options,
  });
  const streams = Array.from({ length: count }, () => {
    const held: { name: number; sizeBytes: number; left: () => void }[] = [];
    const written: number[] = [];
    const stuck: HeldShare[] = [];
    const line = pacer.open((share) => stuck.push(share));
    let pushed = 0;
    return {
      line,
      /** Handed over and not read. */
      held,
      written,
      stuck,
      push(sizeBytes: number): void {
        const name = pushed++;
        line.push({
          sizeBytes,
          write(left) {
            written.push(name);
            held.push({ name, sizeBytes, left });
          },
        });
      },
      read(): boolean {
        const next = held.shift();
        next?.left();
        return next !== undefined;
      },
    };
  });
  const inFlight = (): number => streams.flatMap(({ held }) => held).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return { clock, waits, streams, inFlight };
}

describe('messages to many', () => {
  test('are handed over as far as the bytes of all streams together go, the next as others leave', () => {
    const { streams, inFlight } = openStreams(5);
    for (const stream of streams) stream.push(100 * kilobyte);
    expect(streams.map(({ held }) => held.length)).toEqual([1, 1, 1, 0, 0]);
    expect(inFlight()).toBe(300 * kilobyte);
    streams[1]!.read();
    expect(streams.map(({ held }) => held.length)).toEqual([1, 0, 1, 1, 0]);
  });

  test('pass a stream that reads nothing, which is named once others wait', () => {
    const { streams, clock } = openStreams(3);
    const [slow, ...others] = streams;
    for (const stream of streams) for (let message = 0; message < 20; message++) stream.push(100 * kilobyte);
    while (others.filter((stream) => stream.read()).length > 0);
    expect(others.map(({ written }) => written.length)).toEqual([20, 20]);
    expect(slow!.written).toEqual([0]);
    // nobody waits for its share
    clock.advance(60_000);
    expect(slow!.stuck).toEqual([]);
    others[0]!.push(250 * kilobyte);
    clock.advance(1000);
    expect(slow!.stuck).toEqual([{ sizeBytes: 100 * kilobyte, heldMs: 61_000 }]);
  });

  test('name no stream stuck that is as fast as a line must be, whatever passed it', () => {
    const { streams, clock } = openStreams(4);
    const [slow, ...others] = streams;
    slow!.push(100 * kilobyte);
    const pass = (): void => {
      for (let message = 0; message < 20; message++) for (const other of others) other.push(100 * kilobyte);
      while (others.filter((stream) => stream.read()).length > 0);
    };
    pass();
    clock.advance(3000);
    expect(slow!.stuck).toEqual([]);
    pass();
    clock.advance(1000);
    expect(slow!.stuck).toEqual([{ sizeBytes: 100 * kilobyte, heldMs: 4000 }]);
  });

  test('name none stuck where all are slow together, until nothing leaves for long', () => {
    const { streams, clock } = openStreams(6);
    for (const stream of streams) stream.push(100 * kilobyte);
    clock.advance(20_000);
    streams[0]!.read();
    clock.advance(30_000);
    expect(streams.flatMap(({ stuck }) => stuck)).toEqual([]);
    clock.advance(1000);
    expect(streams.map(({ stuck }) => stuck.length)).toEqual([0, 1, 1, 1, 0, 0]);
  });

  test('give their share back when their stream is gone, not when it only ends', () => {
    const { streams } = openStreams(2, { inFlightBytes: 100 * kilobyte });
    const [gone, other] = streams;
    gone!.push(100 * kilobyte);
    gone!.push(100 * kilobyte);
    other!.push(100 * kilobyte);
    gone!.line.stop();
    expect(gone!.line.queuedBytes).toBe(100 * kilobyte);
    expect(other!.written).toEqual([]);
    gone!.line.close();
    expect(other!.written).toEqual([0]);
    // what is read late counts no second time
    gone!.read();
    gone!.push(10);
    expect(gone!.written).toEqual([0]);
    other!.push(100 * kilobyte);
    expect(other!.written).toEqual([0]);
  });

  test('that are small wait for no other stream, and for what their own was told before', () => {
    const { streams } = openStreams(2, { inFlightBytes: 100 * kilobyte });
    const [one, other] = streams;
    one!.push(100 * kilobyte);
    other!.push(100);
    expect(other!.written).toEqual([0]);
    other!.push(100 * kilobyte);
    other!.push(100);
    expect(other!.written).toEqual([0]);
    one!.read();
    other!.read();
    other!.read();
    expect(other!.written).toEqual([0, 1, 2]);
  });

  test('longer than all bytes together go alone', () => {
    const { streams, inFlight } = openStreams(2);
    for (const stream of streams) stream.push(1000 * kilobyte);
    expect(inFlight()).toBe(1000 * kilobyte);
    streams[0]!.read();
    expect(streams[1]!.written).toEqual([0]);
  });

  test('tell how long they waited for their turn', () => {
    const { streams, waits, clock } = openStreams(2, { inFlightBytes: 100 * kilobyte });
    for (const stream of streams) stream.push(100 * kilobyte);
    clock.advance(700);
    expect(waits).toEqual([]);
    streams[0]!.read();
    expect(waits).toEqual([{ messages: 1, longestMs: 700 }]);
  });
});

test('whatever is pushed, read and closed when, no more is in flight than may be, and each stream gets its messages in order', () => {
  const size = fc.integer({ min: 1025, max: 150 * kilobyte });
  const act = fc.record({
    stream: fc.nat({ max: 7 }),
    does: fc.oneof(
      { weight: 4, arbitrary: size },
      { weight: 4, arbitrary: fc.constant('read' as const) },
      { weight: 1, arbitrary: fc.constant('close' as const) },
    ),
  });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 200 }), (acts) => {
      const { streams, inFlight } = openStreams(8);
      const pushed = streams.map(() => 0);
      const closed = new Set<number>();
      for (const { stream: place, does } of acts) {
        const stream = streams[place]!;
        if (does === 'read') stream.read();
        else if (does === 'close') {
          stream.line.close();
          stream.held.length = 0;
          closed.add(place);
        } else {
          stream.push(does);
          pushed[place]!++;
        }
        expect(inFlight()).toBeLessThanOrEqual(300 * kilobyte);
      }
      while (streams.filter((stream) => stream.read()).length > 0);
      for (const [place, { written, line }] of streams.entries()) {
        expect(written).toEqual([...written.keys()]);
        if (closed.has(place)) continue;
        expect(written).toHaveLength(pushed[place]!);
        expect(line.queuedBytes).toBe(0);
      }
    }),
  );
});

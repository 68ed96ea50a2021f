import type { Clock } from '../runs/clock.ts';

/** One message on its way to a stream. */
export interface PacedMessage {
  readonly sizeBytes: number;
  /** Hands it to the stream; `left` is called once the stream holds nothing of it any more. */
  write(left: () => void): void;
}

/** The messages of one stream, in their order. */
export interface Line {
  /** Pushed, and not left yet. */
  readonly queuedBytes: number;
  push(message: PacedMessage): void;
  /** What was not handed over never will be. What was counts until it left. */
  stop(): void;
  /** The stream is gone, and its share free. */
  close(): void;
}

/**
 * What is said to many at once leaves a few streams at a time: all streams together hold no more than a number of bytes,
 * and the next message is handed over as others leave. A stream that reads slowly keeps its own share and no other.
 */
export interface Pacer {
  /** @param onStuck this stream keeps its share from others, see PacerOptions */
  open(onStuck: (held: HeldShare) => void): Line;
}

export interface HeldShare {
  readonly sizeBytes: number;
  readonly heldMs: number;
}

export interface PacerOptions {
  readonly clock: Clock;
  /** Handed over and not left, over all streams. A message that is longer than all of it goes alone. */
  readonly inFlightBytes: number;
  /**
   * While others wait, a stream is stuck that takes its share more slowly than this, and longer than `graceMs`, although the
   * others took all that may be in flight twice over meanwhile: a line that all of them share makes none of them stuck.
   */
  readonly slowestBytesPerSec: number;
  readonly graceMs: number;
  /** While others wait and nothing leaves at all: then whoever has held its share for so long is stuck. */
  readonly stallMs: number;
  /** Told once nobody waits any more. */
  readonly onCaughtUp?: (waited: Waited) => void;
}

/** For bytes of other streams, that is: behind its own stream's a message waits anyway. */
export interface Waited {
  readonly messages: number;
  readonly longestMs: number;
}

/** A stream's next message follows the one before while both fit into this: about what lies between two machines anyway. */
const streamBytes = 64 * 1024;
/** Up to this size a message waits for its own stream only: signs of life and refusals must pass. */
const smallBytes = 1024;

interface Share {
  readonly sizeBytes: number;
  readonly since: number;
  /** What had left all streams by then. */
  readonly leftBytes: number;
  readonly onStuck: (held: HeldShare) => void;
}

export function createPacer(options: PacerOptions): Pacer {
  const { clock, inFlightBytes, slowestBytesPerSec, graceMs, stallMs, onCaughtUp } = options;
  /** How often those that hold a share are looked at while others wait. */
  const watchMs = graceMs / 2;
  /** Streams whose next message leaves as soon as its bytes are free, and since when; the longest wait first. */
  const turns = new Map<PacedLine, number>();
  /** Small messages that passed have none. */
  const shares = new Set<Share>();
  let sharedBytes = 0;
  let leftBytes = 0;
  let lastLeftAt = clock.now();
  let isPumping = false;
  let waited: Waited = { messages: 0, longestMs: 0 };
  let isWatching = false;

  class PacedLine implements Line {
    queuedBytes = 0;
    readonly #onStuck: (held: HeldShare) => void;
    readonly #queue: PacedMessage[] = [];
    readonly #shares = new Set<Share>();
    #heldBytes = 0;
    #isOver = false;

    constructor(onStuck: (held: HeldShare) => void) {
      this.#onStuck = onStuck;
    }

    /** The next message, where this stream has room for it. */
    get ready(): PacedMessage | undefined {
      const [next] = this.#queue;
      return next && (this.#heldBytes === 0 || this.#heldBytes + next.sizeBytes <= streamBytes) ? next : undefined;
    }

    push(message: PacedMessage): void {
      if (this.#isOver) return;
      this.queuedBytes += message.sizeBytes;
      this.#queue.push(message);
      if (this.#queue.length === 1 && message.sizeBytes <= smallBytes && this.ready) this.#write(() => {});
      else this.#takeTurn();
      pump();
    }

    handOver({ sizeBytes }: PacedMessage): void {
      const share = { sizeBytes, since: clock.now(), leftBytes, onStuck: this.#onStuck };
      shares.add(share);
      this.#shares.add(share);
      sharedBytes += sizeBytes;
      this.#write(() => {
        leftBytes += sizeBytes;
        lastLeftAt = clock.now();
        this.#free(share);
      });
      this.#takeTurn();
    }

    stop(): void {
      this.#isOver = true;
      this.queuedBytes = this.#heldBytes;
      this.#queue.length = 0;
      turns.delete(this);
      pump();
    }

    close(): void {
      for (const share of this.#shares) this.#free(share);
      this.stop();
    }

    /** Behind those that wait already, so that all get on alike. */
    #takeTurn(): void {
      if (this.ready && !turns.has(this)) turns.set(this, clock.now());
    }

    #write(free: () => void): void {
      const message = this.#queue.shift()!;
      this.#heldBytes += message.sizeBytes;
      message.write(() => {
        this.#heldBytes -= message.sizeBytes;
        this.queuedBytes -= message.sizeBytes;
        free();
        this.#takeTurn();
        pump();
      });
    }

    #free(share: Share): void {
      if (!this.#shares.delete(share)) return;
      shares.delete(share);
      sharedBytes -= share.sizeBytes;
    }
  }

  /** Hands over what fits, stream by stream. */
  function pump(): void {
    // A stream that takes a message at once comes back here.
    if (isPumping) return;
    isPumping = true;
    try {
      for (const [line, since] of turns) {
        const next = line.ready!;
        if (sharedBytes > 0 && sharedBytes + next.sizeBytes > inFlightBytes) break;
        turns.delete(line);
        const ms = clock.now() - since;
        if (ms > 0) waited = { messages: waited.messages + 1, longestMs: Math.max(waited.longestMs, ms) };
        line.handOver(next);
      }
    } finally {
      isPumping = false;
    }
    if (turns.size > 0) {
      // Also where the wait is over until then: one that holds its share for long makes others wait again and again.
      if (!isWatching) clock.alarm(clock.now() + watchMs, watch);
      isWatching = true;
      return;
    }
    if (waited.messages > 0) onCaughtUp?.(waited);
    waited = { messages: 0, longestMs: 0 };
  }

  function watch(): void {
    isWatching = false;
    const now = clock.now();
    for (const share of shares) {
      const heldMs = now - share.since;
      const isSlow = heldMs > graceMs + (1000 * share.sizeBytes) / slowestBytesPerSec;
      const isPassed = leftBytes - share.leftBytes > 2 * inFlightBytes;
      const isStalled = Math.min(heldMs, now - lastLeftAt) > stallMs;
      if ((isSlow && isPassed) || isStalled) share.onStuck({ sizeBytes: share.sizeBytes, heldMs });
    }
    pump();
  }

  return { open: (onStuck) => new PacedLine(onStuck) };
}

/** What a session and a transfer may take. Every limit has its reason beside it. */
export interface NetworkLimits {
  /** One signed message of a node. The largest are its shares for a shard of 128, 18 KiB. */
  readonly messageBytes: number;
  /** One message to a node. The roster of 10,000 members is 2.3 MiB, their keys and endorsements beside an offer 1.3. */
  readonly sentMessageBytes: number;
  /** One piece of a transfer: large enough that a call costs nothing, small enough that memory is a few pieces a node. */
  readonly chunkBytes: number;
  /** A node uses one session, one upload and a download for each file; the rest is somebody else's program. */
  readonly streamsPerConnection: number;
  /** Of one node at a time, so that one node cannot hold every file handle. */
  readonly transfersPerNode: number;
  /** Open sessions of nodes, the largest cohort and room: each costs a stream, timers and up to `queueBytes`. */
  readonly sessions: number;
  /** Streams that have not proved who they are: beyond it the oldest goes, so that strangers take no node's place. */
  readonly handshakes: number;
  /** From the challenge to a valid Hello. Nobody has proved anything yet, so there is little patience. */
  readonly handshakeMs: number;
  /** How often each side says that it is there. */
  readonly heartbeatMs: number;
  /** Six heartbeats missed: the node's lease is over and its place is free. */
  readonly idleMs: number;
  /** A ticket lives no longer than this; the node starts a new session by itself. */
  readonly ageMs: number;
  /** Messages that wait for a slow node, two of the longest. Beyond it the node has stopped reading. */
  readonly queueBytes: number;
  /**
   * Messages that streams hold and nodes have not taken, over all sessions; the next leave as these do. A stream has a copy
   * of its own, so this is what telling everyone costs in memory: fifty rosters of 10,000 members, all of 700.
   */
  readonly inFlightBytes: number;
  /** Of a node that keeps others waiting. Half a megabit a second: the roster of 10,000 members takes such a line 35 seconds. */
  readonly slowestBytesPerSec: number;
  /** Beyond what that speed allows a message: latency, and a garbage collection at the other end. */
  readonly graceMs: number;
  /** Nodes wait, and none takes anything: the way to all of them is broken, or they keep the others from it together. */
  readonly stallMs: number;
  /** Between two pieces of a transfer. A line that slow will not finish either. */
  readonly transferIdleMs: number;
}

export const defaultLimits: NetworkLimits = {
  messageBytes: 256 * 1024,
  sentMessageBytes: 4 << 20,
  chunkBytes: 1 << 20,
  streamsPerConnection: 16,
  transfersPerNode: 8,
  sessions: 12_000,
  handshakes: 512,
  handshakeMs: 10_000,
  heartbeatMs: 10_000,
  idleMs: 60_000,
  ageMs: 24 * 3600 * 1000,
  queueBytes: 8 << 20,
  inFlightBytes: 128 << 20,
  slowestBytesPerSec: 64 * 1024,
  graceMs: 2000,
  stallMs: 60_000,
  transferIdleMs: 60_000,
};

/** What a hub may ask of us before anything is believed. */
export const hubLimits = {
  /** The hub answers a listing in pages of some 300 kB. */
  answerBytes: 16 * 1024 * 1024,
  /** Folders with every checkpoint of a training have some thousand files. */
  listedFiles: 20_000,
  /** The longest paths of published models have about 100 characters. */
  pathLength: 240,
  /** The hub hands out nothing larger over plain HTTP. */
  weightFileBytes: 50_000_000_000,
  /** The largest published models have about 1.4 TB. */
  modelBytes: 4_000_000_000_000,
  /** Tokenizers and indices come to some tens of megabytes. */
  companionFileBytes: 64 * 1024 * 1024,
  /** Hub, its resolver's cache, a region, a content network. */
  redirects: 6,
  /** What a server may ask us to wait: the hub counts requests in windows of five minutes. */
  waitMs: 300_000,
  /** Failures in a row, without a byte between them. */
  attempts: 6,
  /** A connection that stays silent this long is dead. */
  silenceMs: 60_000,
  /** A server's own words in our message. */
  quotedLength: 160,
  /** Tokens have some 40 characters, those of identity providers up to some thousand. */
  tokenLength: 4_096,
} as const;

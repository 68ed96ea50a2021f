/** What a Parquet file may ask of the thread that reads it. */
export const parquetLimits = {
  /** Some hundred bytes for each column of each row group; 10,000 of both have about 10 MB. */
  parquetFooterBytes: 64 * 1024 * 1024,
  /** Of the columns that are read, uncompressed: one group is in memory at a time. Writers aim at 128 MB to 512 MB. */
  parquetRowGroupBytes: 1024 * 1024 * 1024,
  /** Of one column in a row group. Writers take a million rows; a conversation has several messages. */
  parquetValues: 16 * 1024 * 1024,
  /** Of the thread: a row group's text as JavaScript strings. */
  parquetHeapBytes: 2048 * 1024 * 1024,
  /** Without a page done. A page of a megabyte takes milliseconds, on a busy machine a second. */
  parquetStallMs: 60_000,
} as const;

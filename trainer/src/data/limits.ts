/** What data may ask of us. It is the operator's own, so these catch a wrong file rather than an attack. */
export const dataLimits = {
  /** A book has about 1 MB; a longer line, row of a CSV file or cell of a table is a file that is no text. */
  lineBytes: 16 * 1024 * 1024,
  /** Records stay in memory. */
  records: 10_000_000,
  files: 100_000,
  folderDepth: 32,
  /** Rendering a conversation takes one pass for each of the assistant's turns. */
  messages: 1_000,
} as const;

/** What the Parquet reader's thread and its owner say to each other. */
export type ParquetRequest =
  | { readonly kind: 'open'; readonly file: string }
  /** Which columns `next` is about. */
  | { readonly kind: 'choose'; readonly columns: readonly string[] }
  /** Some of the next rows, none at the end. */
  | { readonly kind: 'next' };

export type ParquetReply =
  | { readonly kind: 'opened'; readonly columns: readonly string[] }
  | { readonly kind: 'chosen' }
  | { readonly kind: 'rows'; readonly rows: readonly (readonly unknown[])[] }
  | ParquetFailure
  /** Work goes on. */
  | { readonly kind: 'progress' };

export interface ParquetFailure {
  readonly kind: 'failed';
  readonly what: string;
  /** The limit that the file breaks, if it is whole otherwise. */
  readonly limit?: string;
}

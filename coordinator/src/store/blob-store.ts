import { WeftError, type Sha256 } from '@weft/shared';
import type { BlobInfo } from './events.ts';

/** Content-addressed bytes that outlive the process: adapters, and updates until their round is committed. */
export interface BlobStore {
  /** Durable when it resolves; the same bytes again are no second blob. */
  put(bytes: Uint8Array): Promise<BlobInfo>;
  /** undefined where there is no such blob. */
  sizeBytes(sha256: Sha256): Promise<number | undefined>;
  /** In pieces of at most 1 MiB. @throws WEFT_BLOB_MISSING */
  read(sha256: Sha256): AsyncIterable<Uint8Array>;
  /** Bytes [from, to) of it. @throws WEFT_BLOB_MISSING, also where it ends before */
  readRange(sha256: Sha256, from: number, to: number): Promise<Uint8Array>;
  /** No error where there is no such blob. */
  remove(sha256: Sha256): Promise<void>;
  list(): Promise<Sha256[]>;
  /** Goes on with the blob that arrives under this name (letters, digits, `_` and `-`), or begins one. */
  openPartial(name: string): Promise<PartialBlob>;
  /** Bytes that have arrived under this name. */
  partialBytes(name: string): Promise<number>;
  listPartials(): Promise<string[]>;
  removePartial(name: string): Promise<void>;
}

/** A blob that is still arriving. What was written is kept across restarts as far as the disk got it. */
export interface PartialBlob {
  readonly sizeBytes: number;
  /** Appends. */
  write(chunk: Uint8Array): Promise<void>;
  /** Forgets what came after this length. */
  truncate(sizeBytes: number): Promise<void>;
  /**
   * Turns it into a durable blob when length and hash hold.
   * @param inspect sees every byte once, in order; what it throws refuses the blob
   * @throws WEFT_TRANSFER_TRUNCATED (what came is kept), WEFT_TRANSFER_HASH (it is forgotten)
   */
  seal(expected: BlobInfo, inspect?: (piece: Uint8Array) => void): Promise<void>;
  /** Keeps what came. */
  close(): Promise<void>;
}

export const endsBefore = (sha256: Sha256, sizeBytes: number, to: number): WeftError =>
  new WeftError('WEFT_BLOB_MISSING', `the blob ${sha256} has ${sizeBytes} bytes left, byte ${to} was asked for`);

export const pieceBytes = 1 << 20;

const partialName = /^[A-Za-z0-9_-]{1,200}$/;
export const isPartialName = (name: string): boolean => partialName.test(name);

import { WeftError } from '@weft/shared';
import { ggufLimits, type GgufLimit } from './limits.ts';

/** The bytes at hand end before the header does; the reader comes back with more of the file. */
export class MoreBytesNeeded extends Error {
  readonly atLeast: number;
  constructor(atLeast: number) {
    super('more bytes needed');
    this.atLeast = atLeast;
  }
}

export const corrupt = (what: string): WeftError => new WeftError('WEFT_MODEL_CORRUPT', `gguf: ${what}`);

export function withinLimit(limit: GgufLimit, actual: number): number {
  if (actual > ggufLimits[limit]) {
    throw new WeftError('WEFT_MODEL_LIMIT', `gguf: ${limit} is ${actual}, the limit is ${ggufLimits[limit]}`, {
      limit: `gguf.${limit}`,
      actual,
    });
  }
  return actual;
}

/** Reads little-endian values from the front of a file, never past its end nor past `metadataBytes`. */
export class Cursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #fileBytes: number;
  readonly #text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #arrayElements = 0;
  position = 0;

  constructor(bytes: Uint8Array, fileBytes: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#fileBytes = fileBytes;
  }

  /** Moves over `length` bytes and returns where they start. */
  take(length: number): number {
    const end = this.position + length;
    if (end > this.#fileBytes) throw corrupt(`the file ends at byte ${this.#fileBytes}, its header goes on to ${end}`);
    withinLimit('metadataBytes', end);
    if (end > this.#bytes.length) throw new MoreBytesNeeded(end);
    const start = this.position;
    this.position = end;
    return start;
  }

  u8 = (): number => this.#view.getUint8(this.take(1));
  i8 = (): number => this.#view.getInt8(this.take(1));
  u16 = (): number => this.#view.getUint16(this.take(2), true);
  i16 = (): number => this.#view.getInt16(this.take(2), true);
  u32 = (): number => this.#view.getUint32(this.take(4), true);
  i32 = (): number => this.#view.getInt32(this.take(4), true);
  f32 = (): number => this.#view.getFloat32(this.take(4), true);
  f64 = (): number => this.#view.getFloat64(this.take(8), true);
  u64 = (): bigint => this.#view.getBigUint64(this.take(8), true);
  i64 = (): bigint => this.#view.getBigInt64(this.take(8), true);

  /** An unsigned 64-bit count under a named limit. */
  count(limit: GgufLimit): number {
    return withinLimit(limit, Number(this.u64()));
  }

  arrayLength(): number {
    const length = this.count('arrayLength');
    this.#arrayElements = withinLimit('arrayElements', this.#arrayElements + length);
    return length;
  }

  /** An unsigned 64-bit size or offset that must be a safe integer. */
  size(what: string): number {
    const value = this.u64();
    if (value > BigInt(Number.MAX_SAFE_INTEGER))
      throw corrupt(`${what} is ${value}, beyond what a safe integer counts`);
    return Number(value);
  }

  string(limit: GgufLimit): string {
    const length = this.count(limit);
    const start = this.take(length);
    try {
      return this.#text.decode(this.#bytes.subarray(start, start + length));
    } catch {
      throw corrupt(`the string at byte ${start} is not UTF-8`);
    }
  }
}

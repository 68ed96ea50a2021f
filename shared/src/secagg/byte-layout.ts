import { WeftError } from '../errors/weft-error.ts';

/**
 * Layouts of signed bodies, stated once: the same value writes the bytes, reads them back and describes itself in
 * `docs/secagg-wire.md`. Integers are unsigned and big-endian; there is one encoding of a value; nothing may trail.
 */
export interface Layout<T> {
  /** For the table of the document: the size or the form. */
  readonly form: string;
  sizeOf(value: T): number;
  write(value: T, out: ByteWriter): void;
  read(from: ByteReader): T;
}
export type ValueOf<L> = L extends Layout<infer T> ? T : never;

const malformed = (what: string): WeftError => new WeftError('WEFT_SECAGG_MALFORMED', what);

class ByteWriter {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at = 0;
  constructor(sizeBytes: number) {
    this.bytes = new Uint8Array(sizeBytes);
    this.view = new DataView(this.bytes.buffer);
  }
  /** Moves on by `sizeBytes`. @returns where they start */
  skip(sizeBytes: number): number {
    this.at += sizeBytes;
    return this.at - sizeBytes;
  }
}

class ByteReader {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at = 0;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  get left(): number {
    return this.bytes.length - this.at;
  }
  skip(sizeBytes: number): number {
    if (this.left < sizeBytes)
      throw malformed(`a body of ${this.bytes.length} bytes ends at byte ${this.at}, where ${sizeBytes} more are due`);
    this.at += sizeBytes;
    return this.at - sizeBytes;
  }
}

const integer = <T>(
  form: string,
  size: number,
  set: (view: DataView, at: number, value: T) => void,
  get: (view: DataView, at: number) => T,
): Layout<T> => ({
  form,
  sizeOf: () => size,
  write: (value, out) => set(out.view, out.skip(size), value),
  read: (from) => get(from.view, from.skip(size)),
});

export const u8 = integer<number>(
  'u8',
  1,
  (view, at, value) => view.setUint8(at, value),
  (view, at) => view.getUint8(at),
);
export const u16 = integer<number>(
  'u16',
  2,
  (view, at, value) => view.setUint16(at, value),
  (view, at) => view.getUint16(at),
);
export const u32 = integer<number>(
  'u32',
  4,
  (view, at, value) => view.setUint32(at, value),
  (view, at) => view.getUint32(at),
);
export const u64 = integer<bigint>(
  'u64',
  8,
  (view, at, value) => view.setBigUint64(at, value),
  (view, at) => view.getBigUint64(at),
);

/** IEEE 754 binary64, big-endian; finite, and zero has one sign. */
export const f64: Layout<number> = {
  form: 'f64',
  sizeOf: () => 8,
  write: (value, out) => out.view.setFloat64(out.skip(8), value),
  read(from) {
    const value = from.view.getFloat64(from.skip(8));
    if (!Number.isFinite(value) || Object.is(value, -0)) throw malformed('a number is not finite or is minus zero');
    return value;
  },
};

/** Exactly so many bytes. */
export const fixed = (size: number): Layout<Uint8Array> => ({
  form: `${size} bytes`,
  sizeOf: () => size,
  write(value, out) {
    if (value.length !== size) throw new RangeError(`${value.length} bytes where ${size} belong`);
    out.bytes.set(value, out.skip(size));
  },
  read(from) {
    const at = from.skip(size);
    return from.bytes.slice(at, at + size);
  },
});

/** u32 length, then so many bytes. */
export const sized = (most: number): Layout<Uint8Array> => ({
  form: `u32 length ≤ ${most}, bytes`,
  sizeOf: (value) => 4 + value.length,
  write(value, out) {
    out.view.setUint32(out.skip(4), value.length);
    out.bytes.set(value, out.skip(value.length));
  },
  read(from) {
    const size = u32.read(from);
    if (size > most) throw malformed(`a field of ${size} bytes, at most ${most} are allowed`);
    const at = from.skip(size);
    return from.bytes.slice(at, at + size);
  },
});

/** u32 count, then the items. The count is checked before anything is allocated for it. */
export const list = <T>(item: Layout<T>, most: number): Layout<T[]> => ({
  form: `u32 count ≤ ${most}, then each: ${item.form}`,
  sizeOf: (values) => values.reduce((sum, value) => sum + item.sizeOf(value), 4),
  write(values, out) {
    u32.write(values.length, out);
    for (const value of values) item.write(value, out);
  },
  read(from) {
    const count = u32.read(from);
    if (count > most || count > from.left) throw malformed(`a list of ${count}, at most ${most} are allowed`);
    return Array.from({ length: count }, () => item.read(from));
  },
});

/** One bit for each of `length` places, place 0 in the lowest bit of the first byte; bits behind the last are zero. */
export const bitmap = (most: number): Layout<boolean[]> => ({
  form: `u32 places ≤ ${most}, ⌈places/8⌉ bytes, lowest bit first`,
  sizeOf: (places) => 4 + Math.ceil(places.length / 8),
  write(places, out) {
    u32.write(places.length, out);
    const at = out.skip(Math.ceil(places.length / 8));
    places.forEach((set, place) => {
      if (set) out.bytes[at + (place >> 3)]! |= 1 << (place & 7);
    });
  },
  read(from) {
    const length = u32.read(from);
    if (length > most) throw malformed(`a bitmap of ${length} places, at most ${most} are allowed`);
    const at = from.skip(Math.ceil(length / 8));
    const bit = (place: number): boolean => ((from.bytes[at + (place >> 3)]! >> (place & 7)) & 1) === 1;
    if (length % 8 !== 0 && from.bytes[from.at - 1]! >> (length % 8) !== 0)
      throw malformed(`a bitmap of ${length} places has bits behind the last`);
    return Array.from({ length }, (_, place) => bit(place));
  },
});

type Struct<F> = { -readonly [K in keyof F]: ValueOf<F[K]> };
export interface StructLayout<T> extends Layout<T> {
  readonly fields: Readonly<Record<string, { readonly form: string }>>;
}

/** The fields, in this order, nothing between them. */
export function struct<const F extends Record<string, Layout<unknown>>>(fields: F): StructLayout<Struct<F>> {
  const entries = Object.entries<Layout<unknown>>(fields);
  return {
    form: entries.map(([name, { form }]) => `${name} (${form})`).join(', '),
    fields,
    sizeOf: (value) =>
      entries.reduce((sum, [name, layout]) => sum + layout.sizeOf((value as Record<string, unknown>)[name]), 0),
    write(value, out) {
      for (const [name, layout] of entries) layout.write((value as Record<string, unknown>)[name], out);
    },
    read: (from) => Object.fromEntries(entries.map(([name, layout]) => [name, layout.read(from)])) as Struct<F>,
  };
}

export function encode<T>(layout: Layout<T>, value: T): Uint8Array {
  const out = new ByteWriter(layout.sizeOf(value));
  layout.write(value, out);
  return out.bytes;
}

/** @throws WEFT_SECAGG_MALFORMED for bytes that are too short, too long, or not the one encoding of a value */
export function decode<T>(layout: Layout<T>, bytes: Uint8Array): T {
  const from = new ByteReader(bytes);
  const value = layout.read(from);
  if (from.left !== 0) throw malformed(`${from.left} bytes trail behind a body of ${from.at}`);
  return value;
}

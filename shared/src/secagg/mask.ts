import { createCipheriv } from 'node:crypto';

/** Words of the ring Z₂ᵇ in memory: the smallest width that holds b bits. */
export type RingWords = Uint8Array | Uint16Array | Uint32Array;

export const minRingBits = 8;
export const maxRingBits = 32;

/** Zeros. @param bits 8 … 32 */
export function ringWords(bits: number, length: number): RingWords {
  if (!Number.isInteger(bits) || bits < minRingBits || bits > maxRingBits)
    throw new RangeError(`a ring of ${bits} bits; ${minRingBits} to ${maxRingBits} are supported`);
  if (bits === 8) return new Uint8Array(length);
  return bits <= 16 ? new Uint16Array(length) : new Uint32Array(length);
}

/** 2ᵇ − 1 as the mask of one word. */
const wordMask = (bits: number): number => (bits === 32 ? 0xffff_ffff : 2 ** bits - 1);

/** words mod 2ᵇ, in place. Between additions the words may run over b bits: they wrap at their own width. */
export function reduceWords(words: RingWords, bits: number): void {
  const mask = wordMask(bits);
  if (bits === 8 * words.BYTES_PER_ELEMENT) return;
  for (let i = 0; i < words.length; i++) words[i] = words[i]! & mask;
}

// One call over the whole vector would pass through main memory several times: a block of the words and one piece of each
// generator stay in the cache. Below this size the cost of a call and of its buffer shows, above it nothing is won.
const blockBytes = 128 * 1024;
// Pieces that are added in one walk over a block: the words are loaded and stored once for all of them.
const atOnce = 4;
const zeros = Buffer.alloc(blockBytes);
const littleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** One mask: words + sign · PRG(seed). */
export interface MaskTerm {
  /** 32 bytes. */
  readonly seed: Uint8Array;
  readonly sign: 1 | -1;
}

/**
 * words + Σ sign · PRG(seed): AES-256-CTR with a zero IV over zeros, read as little-endian words as wide as `words`.
 * The order of the terms makes no difference. Call {@link reduceWords} once after the last addition.
 */
export function addMasks(words: RingWords, terms: readonly MaskTerm[]): void {
  const steps = addMasksInSteps(words, terms);
  while (!steps.next().done);
}

/** {@link addMasks} in steps of about half a mebibyte of masks, for a thread that must hear others meanwhile. */
export function* addMasksInSteps(words: RingWords, terms: readonly MaskTerm[]): Generator<void, void, void> {
  for (let first = 0; first < terms.length; first += atOnce) yield* addFew(words, terms.slice(first, first + atOnce));
}

/** {@link addMasks} of one term. */
export const addMask = (words: RingWords, seed: Uint8Array, sign: 1 | -1): void => addMasks(words, [{ seed, sign }]);

function* addFew(words: RingWords, terms: readonly MaskTerm[]): Generator<void, void, void> {
  const ciphers = terms.map(({ seed }) => createCipheriv('aes-256-ctr', seed, Buffer.alloc(16)));
  const signs = terms.map(({ sign }) => sign);
  const width = words.BYTES_PER_ELEMENT;
  for (let start = 0; start < words.byteLength; start += blockBytes) {
    const size = Math.min(blockBytes, words.byteLength - start);
    const whole = Math.ceil(size / laneBytes) * laneBytes;
    const none = zeros.subarray(0, whole);
    const generated = ciphers.map((cipher) => cipher.update(none));
    const pieces = generated.map((piece) => lanesOf(inMemoryOrder(piece, width)));
    const place = new Uint8Array(words.buffer, words.byteOffset + start, size);
    if (size === whole && place.byteOffset % laneBytes === 0) {
      addLanes(lanesOf(place), pieces, signs, width);
    } else {
      // The end of a vector, or one that begins between two lanes: by way of words of its own.
      const own = new Uint8Array(whole);
      own.set(place);
      addLanes(lanesOf(own), pieces, signs, width);
      place.set(own.subarray(0, size));
    }
    for (const piece of generated) giveBack(piece);
    yield;
  }
}

/**
 * Frees a piece at once: left to the garbage collector, each piece is new memory that no cache holds, and the generator
 * runs at half its speed. A piece that shares its memory, as small ones may, is left alone.
 */
function giveBack({ buffer, length }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0);
}

// Four bytes at once, as signed integers: sums of unsigned 32-bit words would pass through doubles, at a third of the speed.
const laneBytes = 4;

/** @param view its length a multiple of a lane's */
function lanesOf(view: Uint8Array): Int32Array {
  const own = view.byteOffset % laneBytes === 0 ? view : Uint8Array.from(view);
  return new Int32Array(own.buffer, own.byteOffset, own.length / laneBytes);
}

function inMemoryOrder(piece: Buffer, width: number): Buffer {
  if (littleEndian || width === 1) return piece;
  return width === 2 ? piece.swap16() : piece.swap32();
}

/** What one walk adds: lanes of at most four masks, each flipped where it is taken off, and what a lane is then short of. */
interface Addends {
  readonly a: Int32Array;
  readonly b: Int32Array;
  readonly c: Int32Array;
  readonly d: Int32Array;
  readonly flips: Int32Array;
  readonly ones: number;
}

/** words + Σ sign · piece, each word of `width` bytes for itself. */
function addLanes(words: Int32Array, pieces: readonly Int32Array[], signs: readonly (1 | -1)[], width: number): void {
  const none = lanesOf(zeros);
  const [a = none, b = none, c = none, d = none] = pieces;
  // In every width −m is the complement of m, and one more.
  const flips = Int32Array.from({ length: atOnce }, (_, k) => (signs[k] === -1 ? -1 : 0));
  const taken = signs.filter((sign) => sign === -1).length;
  if (width === 4) addWords(words, { a, b, c, d, flips, ones: taken });
  else if (width === 2) addHalves(words, { a, b, c, d, flips, ones: taken * 0x1_0001 });
  else addBytes(words, { a, b, c, d, flips, ones: taken * 0x101_0101 });
}

function addWords(words: Int32Array, { a, b, c, d, flips, ones }: Addends): void {
  const [p, q, r, s] = [flips[0]!, flips[1]!, flips[2]!, flips[3]!];
  for (let i = 0; i < words.length; i++) {
    const front = (((words[i]! + ones) | 0) + (a[i]! ^ p)) | 0;
    words[i] = (((front + (b[i]! ^ q)) | 0) + (((c[i]! ^ r) + (d[i]! ^ s)) | 0)) | 0;
  }
}

/** The sum over whole lanes, less what the low halves carried into the high ones. */
function addHalves(words: Int32Array, { a, b, c, d, flips, ones }: Addends): void {
  const [p, q, r, s] = [flips[0]!, flips[1]!, flips[2]!, flips[3]!];
  const one = ones & 0xffff;
  for (let i = 0; i < words.length; i++) {
    const w = words[i]!;
    const e = a[i]! ^ p;
    const f = b[i]! ^ q;
    const g = c[i]! ^ r;
    const h = d[i]! ^ s;
    const sum = (((((w + ones) | 0) + e) | 0) + ((((f + g) | 0) + h) | 0)) | 0;
    const lows = ((w & 0xffff) + one + (e & 0xffff) + (f & 0xffff) + (g & 0xffff) + (h & 0xffff)) | 0;
    words[i] = (sum - (lows & 0xffff_0000)) | 0;
  }
}

/** Every other byte has the room of the next one to carry into. */
function addBytes(words: Int32Array, { a, b, c, d, flips, ones }: Addends): void {
  const [p, q, r, s] = [flips[0]!, flips[1]!, flips[2]!, flips[3]!];
  const even = 0x00ff_00ff;
  const one = ones & even;
  for (let i = 0; i < words.length; i++) {
    const w = words[i]!;
    const e = a[i]! ^ p;
    const f = b[i]! ^ q;
    const g = c[i]! ^ r;
    const h = d[i]! ^ s;
    const evens = ((((w & even) + one) | 0) + ((((e & even) + (f & even)) | 0) + (((g & even) + (h & even)) | 0))) | 0;
    const odds =
      (((((w >>> 8) & even) + one) | 0) +
        (((((e >>> 8) & even) + ((f >>> 8) & even)) | 0) + ((((g >>> 8) & even) + ((h >>> 8) & even)) | 0))) |
      0;
    words[i] = (evens & even) | ((odds & even) << 8);
  }
}

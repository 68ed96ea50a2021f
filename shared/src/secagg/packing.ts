import { type RingWords, ringWords } from './mask.ts';

/** Bytes of `length` words of b bits without gaps. */
export const packedBytes = (length: number, bits: number): number => Math.ceil((length * bits) / 8);

/** 2ᵇ − 1 as the mask of 32 bits. */
const maskOf = (bits: number): number => (bits === 32 ? -1 : 2 ** bits - 1);

/** Words as they travel: b bits each, the lowest bit first, without gaps; the bits behind the last word are zero. */
export function packWords(words: RingWords, bits: number): Uint8Array {
  const sizeBytes = packedBytes(words.length, bits);
  const packed = new Uint8Array(4 * Math.ceil(sizeBytes / 4));
  const view = new DataView(packed.buffer);
  let held = 0;
  let heldBits = 0; // below 32
  let at = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]! | 0;
    held |= word << heldBits;
    heldBits += bits;
    if (heldBits < 32) continue;
    view.setInt32(at, held, true);
    at += 4;
    heldBits -= 32;
    held = heldBits === 0 ? 0 : word >>> (bits - heldBits);
  }
  if (heldBits > 0) view.setInt32(at, held, true);
  return packed.subarray(0, sizeBytes);
}

/** Packed words that come in pieces of any size: a word, and even a byte of it, may lie across two of them. */
export class WordUnpacker {
  readonly #bits: number;
  readonly #length: number;
  #held = 0;
  #heldBits = 0;
  #taken = 0;

  /** @param length words in all */
  constructor(bits: number, length: number) {
    this.#bits = bits;
    this.#length = length;
  }

  /**
   * @returns the words that this piece completes
   * @throws RangeError where it goes on behind the last word
   */
  read(piece: Uint8Array): RingWords {
    const bits = this.#bits;
    const mask = maskOf(bits);
    const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
    const whole = Math.floor((this.#heldBits + 8 * piece.length) / bits);
    const words = ringWords(bits, Math.min(whole, this.#length - this.#taken));
    let held = this.#held;
    let heldBits = this.#heldBits; // below 32
    let at = 0;
    for (let i = 0; i < words.length; i++) {
      if (heldBits >= bits) {
        words[i] = held & mask;
        held >>>= bits;
        heldBits -= bits;
        continue;
      }
      const taken = Math.min(4, piece.length - at);
      const next = taken === 4 ? view.getInt32(at, true) : fewBytes(piece, at);
      at += taken;
      words[i] = (held | (next << heldBits)) & mask;
      const used = bits - heldBits;
      held = used === 32 ? 0 : next >>> used;
      heldBits = 8 * taken - used;
    }
    this.#taken += words.length;
    // What is left begins the next word, or fills up the last byte.
    if (this.#taken === this.#length && heldBits + 8 * (piece.length - at) >= 8)
      throw new RangeError(`a piece of ${piece.length} bytes goes on behind word ${this.#length} of ${bits} bits`);
    for (; at < piece.length; at++) {
      held |= piece[at]! << heldBits;
      heldBits += 8;
    }
    this.#held = held;
    this.#heldBits = heldBits;
    return words;
  }

  /** Call once, after the last piece. @throws RangeError where words are missing, or bits behind the last one are set */
  end(): void {
    if (this.#taken !== this.#length)
      throw new RangeError(`packed words end at word ${this.#taken} of ${this.#length}`);
    if (this.#held !== 0) throw new RangeError(`bits behind the last of ${this.#length} words are set`);
  }
}

/** The last bytes of a piece, fewer than four, the lowest first. */
function fewBytes(piece: Uint8Array, from: number): number {
  let value = 0;
  for (let at = from; at < piece.length; at++) value |= piece[at]! << (8 * (at - from));
  return value;
}

/** @returns undefined where the length is off or bits behind the last word are set */
export function unpackWords(packed: Uint8Array, length: number, bits: number): RingWords | undefined {
  if (packed.length !== packedBytes(length, bits)) return undefined;
  const unpacker = new WordUnpacker(bits, length);
  const words = unpacker.read(packed);
  try {
    unpacker.end();
  } catch {
    return undefined;
  }
  return words;
}

/** What of the last byte of packed words lies behind the last word; 0 as they must be sent. */
export function strayBits(lastByte: number, length: number, bits: number): number {
  const used = (length * bits) % 8;
  return used === 0 ? 0 : lastByte >>> used;
}

import { type RingWords, ringWords } from './mask.ts';

/** Bytes of `length` words of b bits without gaps. */
export const packedBytes = (length: number, bits: number): number => Math.ceil((length * bits) / 8);

/** Words as they travel: b bits each, the lowest bit first, without gaps; the bits behind the last word are zero. */
export function packWords(words: RingWords, bits: number): Uint8Array {
  const packed = new Uint8Array(packedBytes(words.length, bits));
  let held = 0; // fewer than 8 + 32 bits: a double holds them exactly
  let heldBits = 0;
  let at = 0;
  for (let i = 0; i < words.length; i++) {
    held += words[i]! * 2 ** heldBits;
    heldBits += bits;
    while (heldBits >= 8) {
      packed[at++] = held % 256;
      held = Math.floor(held / 256);
      heldBits -= 8;
    }
  }
  if (heldBits > 0) packed[at] = held;
  return packed;
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
    const modulus = 2 ** bits;
    const whole = Math.floor((this.#heldBits + 8 * piece.length) / bits);
    const words = ringWords(bits, Math.min(whole, this.#length - this.#taken));
    let held = this.#held;
    let heldBits = this.#heldBits;
    let at = 0;
    for (let i = 0; i < words.length; i++) {
      while (heldBits < bits) {
        held += piece[at++]! * 2 ** heldBits;
        heldBits += 8;
      }
      words[i] = held % modulus;
      held = Math.floor(held / modulus);
      heldBits -= bits;
    }
    this.#taken += words.length;
    // What is left begins the next word, or fills up the last byte.
    if (this.#taken === this.#length && heldBits + 8 * (piece.length - at) >= 8)
      throw new RangeError(`a piece of ${piece.length} bytes goes on behind word ${this.#length} of ${bits} bits`);
    for (; at < piece.length; at++) {
      held += piece[at]! * 2 ** heldBits;
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

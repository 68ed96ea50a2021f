import { addToRing, secagg } from '@weft/shared';

/**
 * The sum of all updates of a round in the ring of b bits: one array of words, however many nodes. Sums in the ring are
 * exact, so the order of updates and the cuts between pieces make no difference.
 */
export class Accumulator {
  readonly #bits: number;
  readonly #sum: secagg.RingWords;
  #unpacker: secagg.WordUnpacker;
  #position = 0;

  /** @param words of an update */
  constructor({ words, bits }: { words: number; bits: number }) {
    this.#bits = bits;
    this.#sum = secagg.ringWords(bits, words);
    this.#unpacker = new secagg.WordUnpacker(bits, words);
  }

  /** The next piece of the current update's packed words, cut anywhere. */
  add(piece: Uint8Array): void {
    const words = this.#unpacker.read(piece);
    addToRing(this.#sum.subarray(this.#position, this.#position + words.length), words);
    this.#position += words.length;
  }

  /** Σ sign · PRG(seed) on top of the sum: what is left of the masks of those who dropped, and everyone's own. */
  addMasks(masks: readonly secagg.MaskTerm[]): void {
    secagg.addMasks(this.#sum, masks);
  }

  /** The current update is complete; the next piece begins another. */
  endUpdate(): void {
    this.#unpacker.end();
    this.#unpacker = new secagg.WordUnpacker(this.#bits, this.#sum.length);
    this.#position = 0;
  }

  /** Σ of another accumulator of this form, on top. */
  addSum(words: secagg.RingWords): void {
    addToRing(this.#sum, words);
  }

  /** Below 2ᵇ each. */
  sum(): secagg.RingWords {
    secagg.reduceWords(this.#sum, this.#bits);
    return this.#sum;
  }
}

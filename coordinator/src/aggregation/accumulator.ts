import { addToRing, bytesToRingWords, ring, secagg } from '@weft/shared';

/**
 * The sum of all updates of a round: one array of ring words, however many nodes. The last word sums the weights.
 * Sums in the ring are exact, so the order of updates and the cuts between pieces make no difference.
 */
export class Accumulator {
  readonly words: Uint32Array;
  #position = 0;

  /** @param values coordinates of an update */
  constructor(values: number) {
    this.words = new Uint32Array(values + 1);
  }

  /** The next piece of the current update: little-endian ring words, none cut in two. */
  add(piece: Uint8Array): void {
    const words = bytesToRingWords(piece);
    if (piece.length % ring.wordBytes !== 0 || this.#position + words.length > this.words.length) {
      throw new RangeError(
        `a piece of ${piece.length} bytes at word ${this.#position} does not fit ${this.words.length} words`,
      );
    }
    addToRing(this.words.subarray(this.#position, this.#position + words.length), words);
    this.#position += words.length;
  }

  /** Σ sign · PRG(seed) on top of the sum: what is left of the masks of those who dropped, and everyone's own. */
  addMasks(masks: readonly secagg.MaskTerm[]): void {
    secagg.addMasks(this.words, masks);
  }

  /** The current update is complete; the next piece begins another. */
  endUpdate(): void {
    if (this.#position !== this.words.length)
      throw new RangeError(`an update ended at word ${this.#position} of ${this.words.length}`);
    this.#position = 0;
  }
}

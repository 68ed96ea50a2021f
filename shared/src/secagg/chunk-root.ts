import { leafHash, merkleRoot } from '../merkle-tree.ts';

/** A masked vector travels and is hashed in chunks of so many bytes. */
export const chunkBytes = 1 << 20;

/** RFC 6962 root over the chunks of a vector, taken in pieces of any size. */
export class ChunkRoot {
  readonly #leaves: Uint8Array[] = [];
  readonly #chunk = new Uint8Array(chunkBytes);
  #filled = 0;

  add(piece: Uint8Array): void {
    for (let at = 0; at < piece.length;) {
      const taken = piece.subarray(at, at + chunkBytes - this.#filled);
      this.#chunk.set(taken, this.#filled);
      this.#filled += taken.length;
      at += taken.length;
      if (this.#filled === chunkBytes) this.#close();
    }
  }

  /** Call once, after the last piece. */
  root(): Uint8Array {
    if (this.#filled > 0) this.#close();
    return merkleRoot(this.#leaves);
  }

  #close(): void {
    this.#leaves.push(leafHash(this.#chunk.subarray(0, this.#filled)));
    this.#filled = 0;
  }
}

import { merkleRoot, nodeHash, type TreeHead } from '../merkle-tree.ts';

/**
 * An RFC 6962 tree that grows: keeps the hash of every complete subtree, so that roots and proofs of any size so far
 * take a number of hashes that grows with the logarithm of the size.
 */
export class LogTree {
  /** levels[k][i]: the subtree of leaves i·2ᵏ to (i+1)·2ᵏ − 1, complete. */
  readonly #levels: Uint8Array[][] = [[]];

  get size(): number {
    return this.#levels[0]!.length;
  }

  append(leafHash: Uint8Array): void {
    let hash = leafHash;
    for (let level = 0; ; level++) {
      const row = (this.#levels[level] ??= []);
      row.push(hash);
      if (row.length % 2 === 1) return;
      hash = nodeHash(row.at(-2)!, row.at(-1)!);
    }
  }

  /** @param size of the tree's first leaves; of all where it is left out */
  head(size = this.size): TreeHead {
    return { size, root: size === 0 ? merkleRoot([]) : this.#hash(0, size) };
  }

  /** Hashes of level `level` from `start` on: what a tile holds. */
  hashes(level: number, start: number, end: number): readonly Uint8Array[] {
    return (this.#levels[level] ?? []).slice(start, end);
  }

  /** PROOF(oldSize, D[size]) of RFC 6962, section 2.1.2. */
  consistencyProof(oldSize: number, size = this.size): Uint8Array[] {
    if (oldSize === 0 || oldSize >= size) return [];
    return this.#subProof(oldSize, 0, size, true);
  }

  /** PATH(place, D[size]) of RFC 6962, section 2.1.1, lowest hash first. */
  inclusionProof(place: number, size = this.size): Uint8Array[] {
    const path: Uint8Array[] = [];
    for (let start = 0, end = size; end - start > 1;) {
      const middle = start + splitPoint(end - start);
      if (place < middle) {
        path.push(this.#hash(middle, end));
        end = middle;
      } else {
        path.push(this.#hash(start, middle));
        start = middle;
      }
    }
    return path.reverse();
  }

  #subProof(oldSize: number, start: number, end: number, whole: boolean): Uint8Array[] {
    if (oldSize === end - start) return whole ? [] : [this.#hash(start, end)];
    const k = splitPoint(end - start);
    return oldSize <= k
      ? [...this.#subProof(oldSize, start, start + k, whole), this.#hash(start + k, end)]
      : [...this.#subProof(oldSize - k, start + k, end, false), this.#hash(start, start + k)];
  }

  /** MTH of the leaves start to end − 1, where start is a multiple of every split that leads there. */
  #hash(start: number, end: number): Uint8Array {
    const level = Math.log2(end - start);
    const complete = Number.isInteger(level) ? this.#levels[level]?.[start / (end - start)] : undefined;
    if (complete !== undefined) return complete;
    const middle = start + splitPoint(end - start);
    return nodeHash(this.#hash(start, middle), this.#hash(middle, end));
  }
}

/** The largest power of two below n. */
const splitPoint = (n: number): number => 2 ** Math.ceil(Math.log2(n) - 1);

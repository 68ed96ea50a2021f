import { createHash } from 'node:crypto';

/** Merkle trees as RFC 6962 hashes them: 0x00 in front of a leaf, 0x01 in front of two children. */

export const leafHash = (leaf: Uint8Array): Uint8Array =>
  createHash('sha256').update(Uint8Array.of(0)).update(leaf).digest();

export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  createHash('sha256').update(Uint8Array.of(1)).update(left).update(right).digest();

/** SHA-256 of nothing. */
const emptyRoot = (): Uint8Array => createHash('sha256').digest();

/** The largest power of two below n: where section 2.1 splits a list. */
function splitPoint(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** MTH of section 2.1, from leaf hashes. */
export function merkleRoot(leafHashes: readonly Uint8Array[]): Uint8Array {
  if (leafHashes.length === 0) return emptyRoot();
  if (leafHashes.length === 1) return leafHashes[0]!;
  const k = splitPoint(leafHashes.length);
  return nodeHash(merkleRoot(leafHashes.slice(0, k)), merkleRoot(leafHashes.slice(k)));
}

/** PATH(m, D[n]) of section 2.1.1: the hashes that lead from leaf `index` to the root, lowest first. */
export function inclusionProof(leafHashes: readonly Uint8Array[], index: number): Uint8Array[] {
  if (leafHashes.length <= 1) return [];
  const k = splitPoint(leafHashes.length);
  return index < k
    ? [...inclusionProof(leafHashes.slice(0, k), index), merkleRoot(leafHashes.slice(k))]
    : [...inclusionProof(leafHashes.slice(k), index - k), merkleRoot(leafHashes.slice(0, k))];
}

/** The paths of all leaves, in their order: each subtree is hashed once. */
export function inclusionProofs(leafHashes: readonly Uint8Array[]): Uint8Array[][] {
  const proofs = leafHashes.map((): Uint8Array[] => []);
  const rootOf = (start: number, end: number): Uint8Array => {
    if (end - start === 1) return leafHashes[start]!;
    const middle = start + splitPoint(end - start);
    const left = rootOf(start, middle);
    const right = rootOf(middle, end);
    for (let leaf = start; leaf < end; leaf++) proofs[leaf]!.push(leaf < middle ? right : left);
    return nodeHash(left, right);
  };
  if (leafHashes.length > 0) rootOf(0, leafHashes.length);
  return proofs;
}

/** The root that a proof leads to (RFC 9162, section 2.1.3.2), or undefined where its length does not fit the place. */
export function rootFromInclusion(
  leaf: Uint8Array,
  { index, size, proof }: { index: number; size: number; proof: readonly Uint8Array[] },
): Uint8Array | undefined {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return undefined;
  let place = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0) return undefined;
    if (place % 2 === 1 || place === last) {
      hash = nodeHash(sibling, hash);
      while (place % 2 === 0 && place !== 0) {
        place = Math.floor(place / 2);
        last = Math.floor(last / 2);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    place = Math.floor(place / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 ? hash : undefined;
}

/** PROOF(m, D[n]) of RFC 6962, section 2.1.2: that the tree of the first `oldSize` leaves is the start of this one. */
export function consistencyProof(leafHashes: readonly Uint8Array[], oldSize: number): Uint8Array[] {
  return oldSize === 0 || oldSize >= leafHashes.length ? [] : subProof(leafHashes, oldSize, true);
}

/** SUBPROOF(m, D[n], b). */
function subProof(hashes: readonly Uint8Array[], oldSize: number, whole: boolean): Uint8Array[] {
  if (oldSize === hashes.length) return whole ? [] : [merkleRoot(hashes)];
  const k = splitPoint(hashes.length);
  return oldSize <= k
    ? [...subProof(hashes.slice(0, k), oldSize, whole), merkleRoot(hashes.slice(k))]
    : [...subProof(hashes.slice(k), oldSize - k, false), merkleRoot(hashes.slice(0, k))];
}

export interface TreeHead {
  readonly size: number;
  readonly root: Uint8Array;
}

/** Whether the tree of `old` is the start of the tree of `now` (RFC 9162, section 2.1.4.2). */
export function isConsistent(old: TreeHead, now: TreeHead, proof: readonly Uint8Array[]): boolean {
  if (old.size > now.size) return false;
  if (old.size === now.size) return proof.length === 0 && equal(old.root, now.root);
  if (old.size === 0) return proof.length === 0;
  const path = isPowerOfTwo(old.size) ? [old.root, ...proof] : [...proof];
  if (path.length === 0) return false;
  let place = old.size - 1;
  let last = now.size - 1;
  while (place % 2 === 1) {
    place = Math.floor(place / 2);
    last = Math.floor(last / 2);
  }
  let oldRoot = path[0]!;
  let newRoot = path[0]!;
  for (const hash of path.slice(1)) {
    if (last === 0) return false;
    if (place % 2 === 1 || place === last) {
      oldRoot = nodeHash(hash, oldRoot);
      newRoot = nodeHash(hash, newRoot);
      while (place % 2 === 0 && place !== 0) {
        place = Math.floor(place / 2);
        last = Math.floor(last / 2);
      }
    } else {
      newRoot = nodeHash(newRoot, hash);
    }
    place = Math.floor(place / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equal(oldRoot, old.root) && equal(newRoot, now.root);
}

function isPowerOfTwo(n: number): boolean {
  let power = 1;
  while (power < n) power *= 2;
  return power === n;
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

import { describe, expect, it } from 'vitest';
import {
  consistencyProof,
  inclusionProof,
  inclusionProofs,
  isConsistent,
  leafHash,
  merkleRoot,
  rootFromInclusion,
} from './merkle-tree.ts';

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex');
// The leaves and roots with which Certificate Transparency's implementations test RFC 6962.
const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map(
  (text) => leafHash(Buffer.from(text, 'hex')),
);
const roots: Record<number, string> = {
  0: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  2: 'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  7: 'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  8: '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
};

describe('Merkle tree', () => {
  it('has the roots that RFC 6962 implementations agree on', () => {
    for (const [size, root] of Object.entries(roots)) expect(hex(merkleRoot(leaves.slice(0, Number(size))))).toBe(root);
  });

  it('finds the paths of all leaves as it finds each alone', () => {
    for (let size = 0; size <= leaves.length; size++) {
      const tree = leaves.slice(0, size);
      expect(inclusionProofs(tree)).toEqual(tree.map((_, index) => inclusionProof(tree, index)));
    }
  });

  it('proves each leaf of each size, and nothing else', () => {
    for (let size = 1; size <= leaves.length; size++) {
      const tree = leaves.slice(0, size);
      const root = hex(merkleRoot(tree));
      for (let index = 0; index < size; index++) {
        const proof = inclusionProof(tree, index);
        expect(hex(rootFromInclusion(tree[index]!, { index, size, proof }))).toBe(root);
        expect(rootFromInclusion(tree[index]!, { index, size, proof: [...proof, root0] })).toBeUndefined();
        if (proof.length > 0) {
          expect(hex(rootFromInclusion(tree[index]!, { index, size, proof: proof.slice(1) }))).not.toBe(root);
          expect(hex(rootFromInclusion(leaves[(index + 1) % 8]!, { index, size, proof }))).not.toBe(root);
        }
      }
    }
  });

  it('proves that each tree is the start of each later one, and of no forked one', () => {
    const head = (hashes: Uint8Array[]) => ({ size: hashes.length, root: merkleRoot(hashes) });
    for (let size = 1; size <= leaves.length; size++) {
      for (let old = 0; old <= size; old++) {
        const proof = consistencyProof(leaves.slice(0, size), old);
        const now = head(leaves.slice(0, size));
        expect(isConsistent(head(leaves.slice(0, old)), now, proof)).toBe(true);
        if (old === 0) continue;
        const forked = leaves.slice(0, old).with(old - 1, root0);
        expect(isConsistent(head(forked), now, proof)).toBe(false);
        expect(isConsistent(head(leaves.slice(0, old)), now, [...proof, root0])).toBe(false);
        if (proof.length > 0) expect(isConsistent(head(leaves.slice(0, old)), now, proof.slice(1))).toBe(false);
      }
    }
    expect(isConsistent(head(leaves), head(leaves.slice(0, 3)), [])).toBe(false);
  });

  it('refuses a place outside of the tree', () => {
    expect(rootFromInclusion(leaves[0]!, { index: 1, size: 1, proof: [] })).toBeUndefined();
    expect(rootFromInclusion(leaves[0]!, { index: -1, size: 1, proof: [] })).toBeUndefined();
    expect(rootFromInclusion(leaves[0]!, { index: 0.5, size: 2, proof: [root0] })).toBeUndefined();
  });
});

const root0 = new Uint8Array(32);

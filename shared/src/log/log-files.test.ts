import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isWeftError } from '../errors/weft-error.ts';
import { consistencyProof, inclusionProof, leafHash, merkleRoot } from '../merkle-tree.ts';
import { decodeLeaf, encodeLeaf, leaves, type LeafInit, type LeafName } from './leaves.ts';
import { LogTree } from './log-tree.ts';
import {
  bundlePath,
  bundlesOf,
  bundlesSince,
  decodeBundle,
  encodeBundle,
  isTilePath,
  maxEntryBytes,
  tileBytes,
  tilePath,
  tilesOf,
  tilesSince,
} from './tiles.ts';

const hashes = (count: number): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => leafHash(Buffer.from(String(index))));
const treeOf = (list: readonly Uint8Array[]): LogTree => {
  const tree = new LogTree();
  for (const hash of list) tree.append(hash);
  return tree;
};

describe('log tree', () => {
  it('has the roots and proofs of RFC 6962 at every size on the way', () => {
    const list = hashes(37);
    const tree = treeOf(list);
    for (let size = 0; size <= list.length; size++) {
      const first = list.slice(0, size);
      expect(tree.head(size).root).toEqual(merkleRoot(first));
      for (let old = 0; old <= size; old++)
        expect(tree.consistencyProof(old, size)).toEqual(consistencyProof(first, old));
      for (let place = 0; place < size; place++)
        expect(tree.inclusionProof(place, size)).toEqual(inclusionProof(first, place));
    }
  });
});

describe('tiles', () => {
  it('lie where tlog-tiles says', () => {
    expect(tilePath({ level: 0, index: 1234067, width: 256 })).toBe('tile/0/x001/x234/067');
    expect(tilePath({ level: 1, index: 0, width: 5 })).toBe('tile/1/000.p/5');
    expect(bundlePath({ index: 1000, width: 256 })).toBe('tile/entries/x001/000');
    // 70,000 leaves, the specification's example: 273 full tiles and one of 112, one full of 256 and one of 17, and one.
    const paths = tilesOf(70_000).map(tilePath);
    expect(paths.filter((path) => path.startsWith('tile/0/'))).toHaveLength(274);
    for (const path of ['tile/0/272', 'tile/0/273.p/112', 'tile/1/000', 'tile/1/001.p/17', 'tile/2/000.p/1'])
      expect(paths).toContain(path);
    expect(paths.every(isTilePath)).toBe(true);
    for (const path of [
      'tile/0/000.p/256',
      'tile/0/000.p/0',
      'tile/0/../000',
      'tile/entries/1',
      'checkpoint',
      'tile/x/000',
    ])
      expect(isTilePath(path)).toBe(false);
  });

  it('hold the hashes of their level, and a grown log needs only those that changed', () => {
    const list = hashes(600);
    const tree = treeOf(list);
    expect(tileBytes(tree, { level: 0, index: 2, width: 88 })).toEqual(Buffer.concat(list.slice(512)));
    const above = tileBytes(tree, { level: 1, index: 0, width: 2 });
    expect(above).toEqual(Buffer.concat([merkleRoot(list.slice(0, 256)), merkleRoot(list.slice(256, 512))]));
    expect(tilesSince(511, 512).map(tilePath)).toEqual(['tile/0/001', 'tile/1/000.p/2']);
    expect(tilesSince(512, 513).map(tilePath)).toEqual(['tile/0/002.p/1']);
    expect(bundlesSince(255, 257).map(bundlePath)).toEqual(['tile/entries/000', 'tile/entries/001.p/1']);
    expect(bundlesSince(0, 600)).toEqual(bundlesOf(600));
  });

  it('bundle entries with their lengths, and read back only exactly that many', () => {
    const entries = [Buffer.from(''), Buffer.from('a'), Buffer.alloc(maxEntryBytes, 7)];
    const bytes = encodeBundle(entries);
    expect(Buffer.from(bytes.subarray(0, 5)).toString('hex')).toBe('0000000161');
    expect(decodeBundle(bytes, 3).map((entry) => Buffer.from(entry))).toEqual(entries);
    const refused = (run: () => unknown): void =>
      expect(run).toThrow(expect.toSatisfy((error) => isWeftError(error, 'WEFT_LOG_MALFORMED')));
    refused(() => decodeBundle(bytes, 2));
    refused(() => decodeBundle(bytes, 4));
    refused(() => decodeBundle(bytes.subarray(0, -1), 3));
    expect(() => encodeBundle([Buffer.alloc(maxEntryBytes + 1)])).toThrow(RangeError);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(8), (any, width) => {
        try {
          expect(Buffer.from(encodeBundle(decodeBundle(any, width)))).toEqual(Buffer.from(any));
        } catch (error) {
          expect(isWeftError(error, 'WEFT_LOG_MALFORMED')).toBe(true);
        }
      }),
    );
  });
});

describe('leaves', () => {
  const hash = Buffer.alloc(32, 5);
  const round = { at: 1n, runId: Buffer.alloc(16, 1), round: 2 };
  const one: { [N in LeafName]: LeafInit<N> } = {
    enrol: { at: 1n, node: hash, organisation: hash },
    revoke: { at: 1n, node: hash },
    offer: {
      ...round,
      specHash: hash,
      baseHash: hash,
      layoutHash: hash,
      adapterHash: hash,
      factor: 2,
      gateData: Buffer.alloc(32),
      gateIncrease: 0n,
      mode: 1,
    },
    roster: { ...round, members: 3, memberRoot: hash, advertRoot: hash },
    cut: { ...round, cutHash: hash, inputRoot: hash, surviving: 3, dropped: 1 },
    open: { ...round, cutHash: hash, acknowledgements: 3 },
    result: {
      ...round,
      previousAdapter: hash,
      adapterHash: hash,
      updates: 3,
      updateRoot: hash,
      gate: 0,
      weightSum: 3n,
      nextClipNorm: 4n,
    },
    rollback: { ...round, previousAdapter: hash, adapterHash: hash, nextClipNorm: 5n },
    gate: { ...round, adapterHash: hash, lossSumBefore: 1n, lossSumAfter: 2n, tokens: 3n, passed: 1 },
    abort: { ...round, code: Buffer.from('WEFT_SECAGG_ABORTED') },
  };
  const all = (Object.keys(leaves) as LeafName[]).map((name) => encodeLeaf(name, one[name]));

  it('read back what was written', () => {
    (Object.keys(leaves) as LeafName[]).forEach((name, index) => {
      const { name: read, version, type, ...body } = decodeLeaf(all[index]!);
      expect([read, version, type]).toEqual([name, 1, index + 1]);
      expect(encodeLeaf(name, body as never)).toEqual(all[index]);
    });
  });

  it('answer any bytes with a leaf or a catalogued error', () => {
    const mutated = fc
      .tuple(fc.constantFrom(...all), fc.nat(250), fc.nat(255), fc.nat(3))
      .map(([bytes, at, value, cut]) => {
        const changed = Uint8Array.from(bytes);
        changed[at % changed.length] = value;
        return changed.subarray(0, changed.length - cut);
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (bytes) => {
        try {
          const { name, version: _version, type: _type, ...body } = decodeLeaf(bytes);
          expect(encodeLeaf(name, body as never)).toEqual(Uint8Array.from(bytes));
        } catch (error) {
          expect(isWeftError(error, 'WEFT_LOG_MALFORMED')).toBe(true);
        }
      }),
    );
  });
});

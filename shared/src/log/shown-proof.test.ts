import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkpointOf, treeOf } from '../../test/log/built-log.ts';
import { createIdentity } from '../identity.ts';
import { leafHash } from '../merkle-tree.ts';
import { encodeLeaf, sortedRoot } from './leaves.ts';
import { LogTree } from './log-tree.ts';
import {
  readShownAdapter,
  readShownHead,
  readShownRound,
  type LeafPath,
  type OwnRound,
  type ShownLeaf,
} from './shown-proof.ts';
import { formatNote } from './signed-note.ts';

const coordinator = createIdentity().identity;
const hash = (byte: number): Uint8Array => Buffer.alloc(32, byte);
const runId = Buffer.alloc(16, 9);
const updates = [hash(31), hash(32), hash(33)];
const own: OwnRound = {
  runId,
  round: 4,
  adapterHash: hash(20),
  updateHash: hash(32),
  cut: { cutHash: hash(6), inputRoot: hash(7) },
  mayBeLeftOut: false,
};
const header = { at: 5n, runId, round: 4 };
const cut = (cutHash = hash(6), inputRoot = hash(7)): Uint8Array =>
  encodeLeaf('cut', { ...header, cutHash, inputRoot, surviving: 3, dropped: 0 });
const abort = encodeLeaf('abort', { ...header, code: Buffer.from('LATE') });
const result = (previousAdapter = hash(20), updateRoot = sortedRoot(updates), round = 4): Uint8Array =>
  encodeLeaf('result', {
    ...header,
    round,
    previousAdapter,
    adapterHash: hash(21),
    updates: 3,
    updateRoot,
    weightSum: 3n,
    gate: 0,
    nextClipNorm: 0n,
  });
const others = [hash(1), hash(2), hash(3)];

const updateTree = new LogTree();
for (const update of updates) updateTree.append(leafHash(update));
const updatePath = (place = 1): LeafPath => ({ place, size: 3, hashes: updateTree.inclusionProof(place) });

/** The leaves as a log of them and others holds them. */
function show(...leaves: readonly Uint8Array[]) {
  const entries = [...others, ...leaves];
  const tree = treeOf(entries);
  const shown = leaves.map((leaf, k): ShownLeaf => {
    const place = others.length + k;
    return { leaf, path: { place, size: entries.length, hashes: tree.inclusionProof(place) } };
  });
  return { head: tree.head(), leaves: shown };
}
const judge = (leaves: readonly Uint8Array[], update: LeafPath | undefined = updatePath(), mine: OwnRound = own) => {
  const { head, leaves: shown } = show(...leaves);
  return readShownRound({ leaves: shown, update }, head, mine);
};
const fails = (check: string) => ({ verdict: 'fails', check });

describe('a round that is shown', () => {
  it('holds where cut and result are those that the member knows', () => {
    expect(judge([cut()], undefined)).toEqual({ verdict: 'holds', cut: true, leftOut: false });
    const adapter = { place: 4, adapterHash: new Uint8Array(hash(21)), nextClipNorm: 0n };
    expect(judge([cut(), result()])).toEqual({ verdict: 'holds', cut: true, end: 'result', leftOut: false, adapter });
    expect(judge([cut(), abort])).toEqual({ verdict: 'holds', cut: true, end: 'abort', leftOut: false });
    // A member that never heard of a cut is content with any, or with none.
    const { cut: _cut, ...unaware } = own;
    expect(judge([abort], undefined, unaware)).toMatchObject({ verdict: 'holds', end: 'abort' });
    expect(judge([cut(hash(66))], undefined, unaware)).toMatchObject({ verdict: 'holds', cut: true });
  });

  it('fails by name where it is another', () => {
    expect(judge([cut(hash(66))])).toEqual(fails('cutAcknowledged'));
    expect(judge([cut(hash(6), hash(77)), result()])).toEqual(fails('cutAcknowledged'));
    expect(judge([abort])).toEqual(fails('cutLogged'));
    expect(judge([result()])).toEqual(fails('cutLogged'));
    expect(judge([cut(), result(hash(99))])).toEqual(fails('resultContinues'));
    expect(judge([cut(), result()], updatePath(2))).toEqual(fails('updateIncluded'));
    expect(judge([cut(), result(hash(20), sortedRoot([hash(31), hash(34), hash(33)]))])).toEqual(
      fails('updateIncluded'),
    );
    expect(judge([cut(), result(hash(20), sortedRoot(updates), 5)])).toEqual(fails('leafOfRound'));
    expect(judge([cut(), cut()])).toEqual(fails('leafOfRound'));
    expect(judge([cut(), result(), abort])).toEqual(fails('leafOfRound'));
    expect(judge([cut(), hash(1)])).toEqual(fails('leafOfRound'));
    const { leaves } = show(cut(), result());
    expect(readShownRound({ leaves, update: updatePath() }, show(cut(), abort).head, own)).toEqual(
      fails('leafIncluded'),
    );
  });

  it('may be without a member only where its shard may be left out', () => {
    const { head, leaves } = show(cut(), result());
    expect(readShownRound({ leaves }, head, own)).toEqual(fails('updateIncluded'));
    expect(readShownRound({ leaves }, head, { ...own, mayBeLeftOut: true })).toMatchObject({ leftOut: true });
  });
});

describe('a leaf that is shown for the adapter of a run', () => {
  const back = encodeLeaf('rollback', {
    ...header,
    previousAdapter: hash(21),
    adapterHash: hash(20),
    nextClipNorm: 7n,
  });
  const { head, leaves } = show(result(), back, cut(), hash(1));

  it('says which one the run goes on with, and from where on', () => {
    const says = (place: number, adapter: number, nextClipNorm: bigint) => ({
      place,
      adapterHash: new Uint8Array(hash(adapter)),
      nextClipNorm,
    });
    expect(readShownAdapter(leaves[0]!, head, runId)).toEqual(says(3, 21, 0n));
    expect(readShownAdapter(leaves[1]!, head, runId)).toEqual(says(4, 20, 7n));
  });

  it('fails by name where it is none, of another run, or in another log', () => {
    expect(readShownAdapter(leaves[2]!, head, runId)).toBe('leafOfAdapter');
    expect(readShownAdapter(leaves[3]!, head, runId)).toBe('leafOfAdapter');
    expect(readShownAdapter(leaves[0]!, head, hash(1).subarray(0, 16))).toBe('leafOfAdapter');
    expect(readShownAdapter(leaves[0]!, show(result(), cut(), cut(), hash(1)).head, runId)).toBe('leafIncluded');
    expect(readShownAdapter({ ...leaves[0]!, path: leaves[1]!.path }, head, runId)).toBe('leafIncluded');
  });
});

describe('a checkpoint that is shown', () => {
  const before = treeOf(others);
  const entries = [...others, hash(4), hash(5)];
  const tree = treeOf(entries);
  const note = (history: readonly Uint8Array[], signer = coordinator): Uint8Array =>
    Buffer.from(formatNote(checkpointOf(history, coordinator, signer)));
  const shown = { checkpoint: note(entries), fromSize: 3, consistency: tree.consistencyProof(3) };
  const read = (change: Partial<typeof shown>, seen = before.head()) =>
    readShownHead({ ...shown, ...change }, coordinator.publicKey, seen);

  it('continues what was seen, or is refused by name', () => {
    expect(read({})).toMatchObject({ verdict: 'grew', head: { size: 5 } });
    expect(read({ fromSize: 2 })).toEqual({ verdict: 'elsewhere' });
    const forked = [...others.slice(0, 2), hash(33), hash(4), hash(5)];
    expect(read({ checkpoint: note(forked), consistency: treeOf(forked).consistencyProof(3) })).toEqual(
      fails('logOnlyGrew'),
    );
    expect(read({}, { size: 3, root: hash(0) })).toEqual(fails('logOnlyGrew'));
    expect(read({ checkpoint: note(entries, createIdentity().identity) })).toEqual(fails('checkpointSigned'));
    const stranger = createIdentity().identity;
    expect(read({ checkpoint: Buffer.from(formatNote(checkpointOf(entries, stranger))) })).toEqual(
      fails('checkpointSigned'),
    );
  });

  it('of whatever bytes gets an answer, and never a better one than it deserves', () => {
    const bytes = fc.uint8Array({ maxLength: 120 });
    const hashes = fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 6 });
    const path = fc.record({ place: fc.integer({ min: -1, max: 9 }), size: fc.integer({ min: -1, max: 9 }), hashes });
    fc.assert(
      fc.property(bytes, hashes, fc.nat(9), (checkpoint, consistency, fromSize) => {
        expect(read({ checkpoint, fromSize }).verdict).toBe('fails');
        const proof = readShownHead({ ...shown, consistency }, coordinator.publicKey, before.head());
        expect(proof.verdict).toBe('fails');
      }),
    );
    fc.assert(
      fc.property(
        fc.array(fc.record({ leaf: fc.oneof(bytes, fc.constant(cut())), path }), { minLength: 1 }),
        path,
        (leaves, update) => {
          expect(readShownRound({ leaves, update }, tree.head(), own).verdict).toBe('fails');
          expect(readShownAdapter(leaves[0]!, tree.head(), runId)).toBe('leafIncluded');
        },
      ),
    );
  });
});

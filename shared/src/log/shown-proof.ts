import { isWeftError } from '../errors/weft-error.ts';
import { toFederationId } from '../identity.ts';
import { isConsistent, leafHash, rootFromInclusion, type TreeHead } from '../merkle-tree.ts';
import { logOrigin, parseCheckpoint } from './checkpoint.ts';
import { decodeLeaf, type Leaf } from './leaves.ts';
import { checkNote, parseNote, verifierKey, type SignedNote } from './signed-note.ts';

/**
 * What a node holds a part of the log against, that its coordinator shows it within a session. Pure: the node keeps what it
 * has seen and what it is owed, and says here what came.
 */

export interface LeafPath {
  readonly place: number;
  readonly size: number;
  readonly hashes: readonly Uint8Array[];
}

export interface ShownHead {
  /** The bytes of a signed note. */
  readonly checkpoint: Uint8Array;
  readonly fromSize: number;
  readonly consistency: readonly Uint8Array[];
}

export interface ShownLeaf {
  readonly leaf: Uint8Array;
  readonly path: LeafPath;
}

/** What a member of a round knows of it by itself. */
export interface OwnRound {
  readonly runId: Uint8Array;
  readonly round: number;
  /** Of the offer that it trained from. */
  readonly adapterHash: Uint8Array;
  /** SHA-256 of the Update that it signed. */
  readonly updateHash: Uint8Array;
  /** The cut that it acknowledged. */
  readonly cut?: { readonly cutHash: Uint8Array; readonly inputRoot: Uint8Array } | undefined;
  /** Its shard may have been left out of the sum as a whole. */
  readonly mayBeLeftOut: boolean;
}

export type HeadVerdict =
  | { readonly verdict: 'grew'; readonly head: TreeHead; readonly note: SignedNote }
  /** The proof starts from another size than this node has seen: it says which, and is shown the right one. */
  | { readonly verdict: 'elsewhere' }
  | { readonly verdict: 'fails'; readonly check: LogCheckName };

/** What the log says that a run goes on with, from this place on. */
export interface LoggedAdapter {
  readonly place: number;
  readonly adapterHash: Uint8Array;
  /** Float64 bits; zeros where the run does not adapt it, or is rolled back to where it began. */
  readonly nextClipNorm: bigint;
}

export type RoundVerdict =
  | {
      readonly verdict: 'holds';
      readonly cut: boolean;
      readonly end?: 'result' | 'abort';
      readonly leftOut: boolean;
      /** Of a result. */
      readonly adapter?: LoggedAdapter;
    }
  | { readonly verdict: 'fails'; readonly check: LogCheckName };

/** Each check of what a coordinator signed, by name, in the words that the operator reads when it fails. */
export const logChecks = {
  checkpointSigned: 'the checkpoint is not one that the coordinator signed for this federation',
  logOnlyGrew: 'the log does not continue what this node has seen of it: two histories are signed',
  leafIncluded: 'a leaf was shown that the checkpoint does not hold',
  leafOfRound: 'a leaf was shown that says nothing of this round’s end, or says it twice',
  cutAcknowledged: 'the log holds another cut than the one that this node signed',
  cutLogged: 'the round ended in the log without the cut that this node signed',
  resultContinues: 'the result does not start from the adapter that the round offered',
  updateIncluded: 'the result does not include this node’s update',
  leafOfAdapter: 'a leaf was shown as the one that made the run’s adapter, and says nothing of it',
  promiseKept: 'the time by which the round’s cut or abort was promised to stand in the log has passed',
  endShown: 'the round was said to be over, and its end in the log was not shown',
  oneCut: 'two cuts of one session are signed: together they could have opened both secrets of a member',
} as const;
export type LogCheckName = keyof typeof logChecks;

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** Whether the checkpoint is the coordinator's, and continues `seen`. */
export function readShownHead(shown: ShownHead, coordinatorKey: Uint8Array, seen: TreeHead): HeadVerdict {
  const origin = logOrigin(toFederationId(coordinatorKey));
  let note: SignedNote;
  let head: TreeHead;
  try {
    note = parseNote(shown.checkpoint);
    const checkpoint = parseCheckpoint(note.text);
    if (checkpoint.origin !== origin || checkNote(note, verifierKey(origin, coordinatorKey)) !== 'good')
      return { verdict: 'fails', check: 'checkpointSigned' };
    head = { size: checkpoint.size, root: new Uint8Array(checkpoint.root) };
  } catch (error) {
    if (!isWeftError(error)) throw error;
    return { verdict: 'fails', check: 'checkpointSigned' };
  }
  if (shown.fromSize !== seen.size) return { verdict: 'elsewhere' };
  return isConsistent(seen, head, shown.consistency)
    ? { verdict: 'grew', head, note }
    : { verdict: 'fails', check: 'logOnlyGrew' };
}

/** Whether the leaves are in this tree, and say of the round what this member knows of it. */
export function readShownRound(
  { leaves, update }: { readonly leaves: readonly ShownLeaf[]; readonly update?: LeafPath | undefined },
  head: TreeHead,
  own: OwnRound,
): RoundVerdict {
  const fails = (check: LogCheckName): RoundVerdict => ({ verdict: 'fails', check });
  const found = new Map<Leaf['name'], Leaf>();
  let adapter: LoggedAdapter | undefined;
  for (const shown of leaves) {
    if (!isIncluded(shown, head)) return fails('leafIncluded');
    const leaf = leafOfRound(shown.leaf, own);
    if (leaf === undefined || found.has(leaf.name)) return fails('leafOfRound');
    found.set(leaf.name, leaf);
    if (leaf.name === 'result') {
      const { adapterHash, nextClipNorm } = leaf;
      adapter = { place: shown.path.place, adapterHash, nextClipNorm };
    }
  }
  const cut = found.get('cut');
  const result = found.get('result');
  const isOver = result !== undefined || found.has('abort');
  if (result !== undefined && found.has('abort')) return fails('leafOfRound');
  if (own.cut !== undefined) {
    if (cut?.name === 'cut' && !(same(cut.cutHash, own.cut.cutHash) && same(cut.inputRoot, own.cut.inputRoot)))
      return fails('cutAcknowledged');
    if (isOver && cut === undefined) return fails('cutLogged');
  }
  let leftOut = false;
  if (result?.name === 'result') {
    if (!same(result.previousAdapter, own.adapterHash)) return fails('resultContinues');
    leftOut = !includesUpdate(result, update, own.updateHash);
    if (leftOut && !own.mayBeLeftOut) return fails('updateIncluded');
  }
  return {
    verdict: 'holds',
    cut: cut !== undefined,
    ...(isOver && { end: result === undefined ? ('abort' as const) : ('result' as const) }),
    leftOut,
    ...(adapter && { adapter }),
  };
}

/** A leaf that is shown for the adapter that it leads a run to. @returns the check that does not hold, or what it says */
export function readShownAdapter(shown: ShownLeaf, head: TreeHead, runId: Uint8Array): LoggedAdapter | LogCheckName {
  if (!isIncluded(shown, head)) return 'leafIncluded';
  const leaf = decodedLeaf(shown.leaf);
  if ((leaf?.name !== 'result' && leaf?.name !== 'rollback') || !same(leaf.runId, runId)) return 'leafOfAdapter';
  const { adapterHash, nextClipNorm } = leaf;
  return { place: shown.path.place, adapterHash, nextClipNorm };
}

function isIncluded({ leaf, path }: ShownLeaf, head: TreeHead): boolean {
  const root = rootFromInclusion(leafHash(leaf), { index: path.place, size: head.size, proof: path.hashes });
  return path.size === head.size && root !== undefined && same(root, head.root);
}

/** @returns undefined for what is no leaf about the end of this round */
function leafOfRound(bytes: Uint8Array, own: OwnRound): Leaf | undefined {
  const leaf = decodedLeaf(bytes);
  const tells = leaf?.name === 'cut' || leaf?.name === 'result' || leaf?.name === 'abort';
  return tells && leaf.round === own.round && same(leaf.runId, own.runId) ? leaf : undefined;
}

function decodedLeaf(bytes: Uint8Array): Leaf | undefined {
  try {
    return decodeLeaf(bytes);
  } catch (error) {
    if (!isWeftError(error)) throw error;
    return undefined;
  }
}

function includesUpdate(
  { updates, updateRoot }: { updates: number; updateRoot: Uint8Array },
  path: LeafPath | undefined,
  updateHash: Uint8Array,
): boolean {
  if (path === undefined || path.size !== updates) return false;
  const root = rootFromInclusion(leafHash(updateHash), { index: path.place, size: updates, proof: path.hashes });
  return root !== undefined && same(root, updateRoot);
}

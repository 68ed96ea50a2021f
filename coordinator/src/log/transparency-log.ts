import { log, merkle, toFederationId, toWeftError, WeftError, type Identity, type RunId } from '@weft/shared';
import type { Logger } from 'pino';
import type { StoredEvent } from '../store/events.ts';
import type { Store } from '../store/store.ts';
import { deriveLeaves, loggedKinds } from './derive-leaves.ts';
import { checkpointFile, cosignedFile, openLogFiles, witnessesFile, type LogFiles } from './log-files.ts';

/** The federation's log: grows with the event table, and shows itself. */
export interface TransparencyLog {
  head(): merkle.TreeHead;
  /** That the first `oldSize` leaves are the start of the first `size`. */
  consistencyProof(oldSize: number, size: number): Uint8Array[];
  /** The newest leaf of this kind, with a proof of C2SP's form that the log as it is now holds it. */
  prove(isSought: (leaf: log.Leaf) => boolean): ProvenLeaf | undefined;
  /** That the leaf at this place is in the first `size`. */
  inclusionProof(place: number, size: number): Uint8Array[];
  /** The newest checkpoint that is on the disk, with the coordinator's signature alone; none before the first. */
  shown(): { readonly size: number; readonly note: log.SignedNote } | undefined;
  /** Cut, Result and Abort of a round, as far as they are derived. */
  endOf(runId: RunId, round: number): readonly PlacedLeaf[];
  /** The newest Result or Rollback of the run, as far as it is derived: it names the adapter that the run goes on with. */
  adapterOf(runId: RunId): (PlacedLeaf & { readonly round: number }) | undefined;
  /** The checkpoint of the first `size` leaves: its text is what a witness cosigns. */
  noteOf(size: number): log.SignedNote;
  /** Called with the places that a write added, `from` to `size` − 1. @returns ends the subscription */
  onWritten(listener: (added: { readonly from: number; readonly size: number }) => void): () => void;
  /** The round that the leaf at this place ends or cuts. */
  roundAt(place: number): { readonly runId: RunId; readonly round: number } | undefined;
  /** Witnesses that a process before this one kept. @throws WEFT_LOG_MALFORMED */
  readWitnesses(): Promise<log.Witness[]>;
  /** Keeps what witnesses signed beside the log; the checkpoint only while it is the newest. Lost where it cannot be written. */
  keepCosigned(cosigned: CosignedFiles): Promise<void>;
  /** A file of tlog-tiles by its path, as far as it is on the disk. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** A body or manifest beside it, as a file: bodies may be long. */
  find(path: string): Promise<string | undefined>;
  /** When all leaves so far are on the disk, or could not be written. */
  written(): Promise<void>;
  close(): Promise<void>;
}

export interface ProvenLeaf {
  readonly entry: Uint8Array;
  readonly proof: string;
}

/** Of a federation that keeps none. */
export const noLog: Pick<TransparencyLog, 'head' | 'prove'> = {
  head: () => new log.LogTree().head(),
  prove: () => undefined,
};
export interface CosignedFiles {
  readonly witnesses: string;
  /** The checkpoint that most organisations cosigned. */
  readonly cosigned: string;
  /** One that has new cosignatures. */
  readonly checkpoint: { readonly size: number; readonly text: string };
}

export interface PlacedLeaf {
  readonly place: number;
  readonly bytes: Uint8Array;
}

export interface TransparencyLogOptions {
  readonly store: Store;
  readonly identity: Identity;
  readonly folder: string;
  readonly logger: Logger;
  /** Called when the leaves are written, before the checkpoint that names them is. */
  readonly onCheckpoint?: (() => void) | undefined;
}

/**
 * Derives the whole log from the table, sees that what was signed before is its start, and follows the table from then on.
 * @throws WEFT_LOG_CONFLICT, WEFT_LOG_MALFORMED
 */
export async function openTransparencyLog({
  store,
  identity,
  folder,
  logger,
  onCheckpoint,
}: TransparencyLogOptions): Promise<TransparencyLog> {
  const files = openLogFiles(folder, onCheckpoint);
  const tree = new log.LogTree();
  const entries: Uint8Array[] = [];
  const leavesOf = deriveLeaves();
  const ends = new Map<string, number[]>();
  const adapters = new Map<RunId, PlacedLeaf & { readonly round: number }>();
  const take = (event: StoredEvent): void => {
    for (const bytes of leavesOf(event)) {
      const leaf = log.decodeLeaf(bytes);
      const ended = endedRound(leaf);
      if (ended) ends.set(keyOf(ended), [...(ends.get(keyOf(ended)) ?? []), entries.length]);
      if (leaf.name === 'result' || leaf.name === 'rollback')
        adapters.set(runIdOf(leaf), { place: entries.length, bytes, round: leaf.round });
      entries.push(bytes);
      tree.append(merkle.leafHash(bytes));
    }
  };
  for (const event of store.read({ kinds: loggedKinds })) take(event);
  await requireStart(files, tree);

  const origin = log.logOrigin(toFederationId(identity.publicKey));
  const key = log.verifierKey(origin, identity.publicKey);
  const noteOf = (size: number): log.SignedNote =>
    log.signNote(log.formatCheckpoint({ origin, ...tree.head(size), extensions: [] }), key, (text) =>
      identity.sign(text),
    );
  const signedHead = () => {
    const { size } = tree;
    const note = noteOf(size);
    return { size, note, checkpoint: log.formatNote(note), verifierKey: log.formatVerifierKey(key) };
  };

  const listeners = new Set<(added: { from: number; size: number }) => void>();
  let shown: { size: number; note: log.SignedNote } | undefined;
  let writtenSize = 0;
  let line: Promise<void> = Promise.resolve();
  /** However many witnesses sign, leaves wait for one write of theirs at most. */
  let unkept: CosignedFiles | undefined;
  /** Leaves that come while files are written wait for the next turn, all together. */
  const write = (): Promise<void> => {
    line = line.then(async () => {
      if (writtenSize === tree.size && writtenSize > 0) return;
      const signed = signedHead();
      try {
        await files.write(writtenSize, tree, entries, signed);
        const added = { from: writtenSize, size: signed.size };
        writtenSize = signed.size;
        shown = signed;
        for (const listener of listeners) listener(added);
      } catch (error) {
        // The rows are durable: the next leaf, or the next start, writes them.
        logger.error(
          { code: toWeftError(error).code, err: error, logSize: signed.size },
          'the log could not be written',
        );
      }
    });
    return line;
  };
  const unsubscribe = store.subscribe((event) => {
    const { size } = tree;
    take(event);
    if (tree.size > size) void write();
  });
  await write();

  return {
    head: () => tree.head(),
    consistencyProof: (oldSize, size) => tree.consistencyProof(oldSize, size),
    prove(isSought) {
      const index = entries.findLastIndex((entry) => isSought(log.decodeLeaf(entry)));
      const entry = entries[index];
      if (entry === undefined) return undefined;
      return { entry, proof: log.formatProof(index, tree.inclusionProof(index), signedHead().checkpoint) };
    },
    inclusionProof: (place, size) => tree.inclusionProof(place, size),
    shown: () => shown,
    endOf: (runId, round) =>
      (ends.get(keyOf({ runId, round })) ?? []).map((place) => ({ place, bytes: entries[place]! })),
    adapterOf: (runId) => adapters.get(runId),
    noteOf,
    onWritten(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    roundAt: (place) => endedRound(log.decodeLeaf(entries[place]!)),
    readWitnesses: () => files.readWitnesses(),
    keepCosigned(cosigned) {
      const queued = unkept !== undefined;
      unkept = { ...cosigned, checkpoint: newerOf(unkept?.checkpoint, cosigned.checkpoint) };
      if (queued) return line;
      line = line.then(async () => {
        const { witnesses, cosigned: most, checkpoint } = unkept!;
        unkept = undefined;
        try {
          await files.put(witnessesFile, witnesses);
          await files.put(cosignedFile, most);
          if (checkpoint.size === writtenSize) await files.put(checkpointFile, checkpoint.text);
        } catch (error) {
          logger.error({ code: toWeftError(error).code, err: error }, 'cosignatures could not be written');
        }
      });
      return line;
    },
    read: (path) => files.read(path),
    find: (path) => files.find(path),
    written: () => line,
    async close() {
      unsubscribe();
      await line;
    },
  };
}

type Noted = CosignedFiles['checkpoint'];
const newerOf = (before: Noted | undefined, after: Noted): Noted =>
  before !== undefined && before.size > after.size ? before : after;

const keyOf = ({ runId, round }: { runId: RunId; round: number }): string => `${runId}/${round}`;

const runIdOf = ({ runId }: { runId: Uint8Array }): RunId => `r_${Buffer.from(runId).toString('hex')}` as RunId;

function endedRound(leaf: log.Leaf): { runId: RunId; round: number } | undefined {
  if (leaf.name !== 'cut' && leaf.name !== 'result' && leaf.name !== 'abort') return undefined;
  return { runId: runIdOf(leaf), round: leaf.round };
}

/** Signing another history would be the lie that a log is there to show. */
async function requireStart(files: LogFiles, tree: log.LogTree): Promise<void> {
  const before = await files.readCheckpoint();
  if (before === undefined) return;
  const same = before.size <= tree.size && Buffer.from(tree.head(before.size).root).equals(before.root);
  if (same) return;
  throw new WeftError(
    'WEFT_LOG_CONFLICT',
    `the signed checkpoint has ${before.size} leaves, the event table gives ${tree.size} that do not continue them`,
    { signedSize: before.size, derivedSize: tree.size },
  );
}

import { log, merkle, toFederationId, toWeftError, WeftError, type Identity } from '@weft/shared';
import type { Logger } from 'pino';
import type { StoredEvent } from '../store/events.ts';
import type { Store } from '../store/store.ts';
import { deriveLeaves, loggedKinds } from './derive-leaves.ts';
import { openLogFiles, type LogFiles } from './log-files.ts';

/** The federation's log: grows with the event table, and shows itself. */
export interface TransparencyLog {
  head(): merkle.TreeHead;
  /** That the first `oldSize` leaves are the start of the first `size`. */
  consistencyProof(oldSize: number, size: number): Uint8Array[];
  /** The newest leaf of this kind, with a proof of C2SP's form that the log as it is now holds it. */
  prove(isSought: (leaf: log.Leaf) => boolean): ProvenLeaf | undefined;
  /** A file of tlog-tiles by its path, as far as it is on the disk. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** When all leaves so far are on the disk, or could not be written. */
  written(): Promise<void>;
  close(): Promise<void>;
}

export interface ProvenLeaf {
  readonly entry: Uint8Array;
  readonly proof: string;
}

/** Of a federation that keeps none. */
export const noLog: Pick<TransparencyLog, 'head' | 'consistencyProof' | 'prove'> = {
  head: () => new log.LogTree().head(),
  consistencyProof: () => [],
  prove: () => undefined,
};

export interface TransparencyLogOptions {
  readonly store: Store;
  readonly identity: Identity;
  readonly folder: string;
  readonly logger: Logger;
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
}: TransparencyLogOptions): Promise<TransparencyLog> {
  const files = openLogFiles(folder);
  const tree = new log.LogTree();
  const entries: Uint8Array[] = [];
  const leavesOf = deriveLeaves();
  const take = (event: StoredEvent): void => {
    for (const leaf of leavesOf(event)) {
      entries.push(leaf);
      tree.append(merkle.leafHash(leaf));
    }
  };
  for (const event of store.read({ kinds: loggedKinds })) take(event);
  await requireStart(files, tree);

  const origin = log.logOrigin(toFederationId(identity.publicKey));
  const key = log.verifierKey(origin, identity.publicKey);
  const signedHead = () => {
    const head = tree.head();
    const note = log.signNote(log.formatCheckpoint({ origin, ...head, extensions: [] }), key, (text) =>
      identity.sign(text),
    );
    return { size: head.size, checkpoint: log.formatNote(note), verifierKey: log.formatVerifierKey(key) };
  };

  let writtenSize = 0;
  let line: Promise<void> = Promise.resolve();
  /** Leaves that come while files are written wait for the next turn, all together. */
  const write = (): Promise<void> => {
    line = line.then(async () => {
      if (writtenSize === tree.size && writtenSize > 0) return;
      const signed = signedHead();
      try {
        await files.write(writtenSize, tree, entries, signed);
        writtenSize = signed.size;
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
    read: (path) => files.read(path),
    written: () => line,
    async close() {
      unsubscribe();
      await line;
    },
  };
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

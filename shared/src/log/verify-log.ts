import { isWeftError, WeftError } from '../errors/weft-error.ts';
import { toFederationId } from '../identity.ts';
import type { RunId } from '../ids.ts';
import { leafHash } from '../merkle-tree.ts';
import { logOrigin, parseCheckpoint, type Checkpoint } from './checkpoint.ts';
import { decodeLeaf, type Leaf } from './leaves.ts';
import { LogTree } from './log-tree.ts';
import {
  checkNote,
  formatVerifierKey,
  parseNote,
  parseVerifierKey,
  type SignedNote,
  type VerifierKey,
} from './signed-note.ts';
import { bundlePath, bundlesOf, decodeBundle, tileBytes, tilePath, tilesOf, tileWidth } from './tiles.ts';
import { LeafWalk, type Finding } from './verify-leaves.ts';
import { verifyWitnesses } from './verify-witnesses.ts';

export interface VerifyOptions {
  /** A file of the log by its path; undefined where it is not there. */
  readonly read: (path: string) => Promise<Uint8Array | undefined>;
  /** Of the coordinator; without it the key that lies beside the log is taken, and said to be unchecked. */
  readonly key?: VerifierKey | undefined;
  /** Keys that the reader knows to cosign this log. */
  readonly cosigners?: readonly VerifierKey[];
  /** Keys of organisations, in hex, that the reader trusts; without any, those count that the log's list of witnesses names. */
  readonly organisations?: readonly string[] | undefined;
  /** A checkpoint that was seen before. */
  readonly since?: Uint8Array | undefined;
  readonly runId?: string | undefined;
  /** Looks at a run with more than its leaves; where it is left out, the report says what was not looked at. */
  readonly recompute?: ((run: LoggedRun) => AsyncIterable<Finding>) | undefined;
  /** SHA-256 of an adapter that is to be a result of the log, in hex. */
  readonly adapterSha256?: string | undefined;
}

/** The leaves of one run, with their places. */
export interface LoggedRun {
  readonly runId: RunId;
  readonly leaves: readonly { readonly leaf: Leaf; readonly entry: number }[];
}

/** Hashes and entries are held in memory: this many are about 2 GiB, and a federation writes a few a round. */
const maxEntries = 1 << 22;
const server = 'whoever keeps or serves these files';
const coordinator = 'the coordinator';

/**
 * Walks a log from its first entry to its newest result. Ends early where what follows would rest on what failed.
 * @returns one finding a claim; nothing that was not looked at is said to hold
 */
export async function* verifyLog(options: VerifyOptions): AsyncGenerator<Finding, void, undefined> {
  const opened = yield* openCheckpoint(options);
  if (opened === undefined) return;
  const { key, note, checkpoint, isCosignedByName } = opened;
  const read = yield* readEntries(options, checkpoint);
  if (read === undefined) return;
  const { tree, entries } = read;
  if (options.since !== undefined) yield compareSince(options.since, key, tree, checkpoint);
  const walked = new LeafWalk();
  yield* walk(walked, entries, options);
  yield* verifyWitnesses(options.read, { key, note, tree, walked, isCosignedByName }, options.organisations);
}

async function* openCheckpoint({ read, key: pinned, cosigners = [] }: VerifyOptions) {
  const fails = (claim: string, party: string): Finding => ({ verdict: 'fails', claim, party });
  let key = pinned;
  let note: SignedNote;
  let checkpoint: Checkpoint;
  try {
    const keyText = key === undefined ? await read('vkey') : undefined;
    if (keyText !== undefined) key = parseVerifierKey(Buffer.from(keyText).toString().trim());
    const bytes = await read('checkpoint');
    if (key === undefined || bytes === undefined) {
      yield fails(`there is no ${bytes === undefined ? 'checkpoint' : 'key to verify it with'}`, server);
      return undefined;
    }
    note = parseNote(bytes);
    checkpoint = parseCheckpoint(note.text);
  } catch (error) {
    if (!isWeftError(error)) throw error;
    yield fails(error.message, server);
    return undefined;
  }
  const { origin, size } = checkpoint;
  if (origin !== key.name || origin !== logOrigin(toFederationId(key.publicKey))) {
    yield fails(`the checkpoint is of ${origin}, the key ${formatVerifierKey(key)} is of another federation`, server);
    return undefined;
  }
  if (checkNote(note, key) !== 'good') {
    yield fails(`the checkpoint of ${size} entries is not signed by ${formatVerifierKey(key)}`, server);
    return undefined;
  }
  if (size > maxEntries)
    throw new WeftError('WEFT_LOG_MALFORMED', `the log has ${size} entries, at most ${maxEntries} are read`);
  yield {
    verdict: 'holds',
    claim: `the checkpoint of ${size} entries is signed by ${formatVerifierKey(key)}`,
  } as Finding;
  if (pinned === undefined)
    yield {
      verdict: 'not checked',
      claim:
        'that this is the key of the federation you mean: it lies beside the log; compare it, or name it with --key',
    } as Finding;
  let cosigned = 0;
  for (const cosigner of cosigners) {
    const state = checkNote(note, cosigner);
    if (state === 'bad') yield fails(`the cosignature of ${cosigner.name} does not hold`, server);
    if (state === 'good') cosigned++;
  }
  if (cosigners.length > 0) {
    const claim = `${cosigned} of ${cosigners.length} named keys cosigned the checkpoint`;
    yield { verdict: cosigned === 0 ? 'warning' : 'holds', claim } as Finding;
  }
  return { key, note, checkpoint, isCosignedByName: cosigned > 0 };
}

/** All entries, if they are the ones that the checkpoint signs and the tiles say the same. */
async function* readEntries({ read }: VerifyOptions, checkpoint: Checkpoint) {
  const tree = new LogTree();
  const entries: Uint8Array[] = [];
  for (const { index, width } of bundlesOf(checkpoint.size)) {
    const start = index * tileWidth;
    const path = bundlePath({ index, width });
    const bytes = (await read(path)) ?? (await read(bundlePath({ index, width: tileWidth })));
    const found = bytes && takeBundle(bytes, width);
    if (found === undefined) {
      const claim = `${path} is ${bytes === undefined ? 'missing' : 'not the entries that it should hold'}: entries ${start} to ${start + width - 1}`;
      yield { verdict: 'fails', claim, entry: start, party: server } as Finding;
      return undefined;
    }
    for (const entry of found) {
      entries.push(entry);
      tree.append(leafHash(entry));
    }
  }
  const signed = Buffer.from(tree.head().root).equals(checkpoint.root);
  let faults = 0;
  for (const tile of tilesOf(checkpoint.size)) {
    const path = tilePath(tile);
    const bytes = (await read(path)) ?? (await read(tilePath({ ...tile, width: tileWidth })));
    const due = tileBytes(tree, tile);
    if (bytes !== undefined && Buffer.from(bytes.subarray(0, due.length)).equals(due)) continue;
    for (const place of differing(bytes, due)) {
      faults++;
      const entry = (tile.index * tileWidth + place) * tileWidth ** tile.level;
      const claim = signed
        ? `${path} holds another hash than entry ${entry} has`
        : `entry ${entry} is not the one whose hash ${path} holds`;
      yield {
        verdict: 'fails',
        claim: bytes === undefined ? `${path} is missing` : claim,
        entry,
        party: server,
      } as Finding;
    }
  }
  if (!signed) {
    const claim = 'the entries do not make the root that the checkpoint signs';
    // Files that agree among themselves and not with the signature: the signature is of another log.
    yield { verdict: 'fails', claim, party: faults === 0 ? coordinator : server } as Finding;
    return undefined;
  }
  if (faults > 0) return undefined;
  yield {
    verdict: 'holds',
    claim: `${entries.length} entries and their tiles make the root that the checkpoint signs`,
  } as Finding;
  return { tree, entries };
}

function takeBundle(bytes: Uint8Array, width: number): Uint8Array[] | undefined {
  try {
    return decodeBundle(bytes, width);
  } catch (error) {
    if (!isWeftError(error)) throw error;
    return undefined;
  }
}

/** Places of a tile whose hashes differ; the first one where there is none to compare. */
function differing(bytes: Uint8Array | undefined, due: Uint8Array): number[] {
  if (bytes === undefined || bytes.length < due.length) return [0];
  return Array.from({ length: due.length / 32 }, (_, place) => place).filter(
    (place) =>
      Buffer.compare(bytes.subarray(32 * place, 32 * place + 32), due.subarray(32 * place, 32 * place + 32)) !== 0,
  );
}

/** Both are signed: if they do not fit, the signer told two stories. */
function compareSince(since: Uint8Array, key: VerifierKey, tree: LogTree, now: Checkpoint): Finding {
  let before: Checkpoint;
  try {
    const note = parseNote(since);
    before = parseCheckpoint(note.text);
    if (checkNote(note, key) !== 'good')
      return { verdict: 'not checked', claim: 'the earlier checkpoint: this federation’s key has not signed it' };
  } catch (error) {
    if (!isWeftError(error)) throw error;
    return { verdict: 'not checked', claim: `the earlier checkpoint: ${error.message}` };
  }
  const grew = before.size <= now.size && Buffer.from(tree.head(before.size).root).equals(before.root);
  return grew
    ? { verdict: 'holds', claim: `the log of ${before.size} entries that was seen before is the start of this one` }
    : {
        verdict: 'fails',
        claim: `the checkpoint of ${before.size} entries that was seen before is no start of this log: two histories are signed`,
        party: coordinator,
      };
}

async function* walk(
  walked: LeafWalk,
  entries: readonly Uint8Array[],
  { runId, adapterSha256, recompute }: VerifyOptions,
): AsyncGenerator<Finding> {
  const leavesOf = new Map<string, LoggedRun['leaves'][number][]>();
  let found: (Finding & { readonly runId: string }) | undefined;
  for (const [entry, bytes] of entries.entries()) {
    let leaf: Leaf;
    try {
      leaf = decodeLeaf(bytes);
    } catch (error) {
      if (!isWeftError(error)) throw error;
      yield { verdict: 'fails', claim: error.message, entry, party: coordinator };
      continue;
    }
    for (const finding of walked.take(leaf, entry))
      if (runId === undefined || finding.runId === undefined || finding.runId === runId) yield finding;
    if ('runId' in leaf) {
      const id = `r_${Buffer.from(leaf.runId).toString('hex')}`;
      const leaves = leavesOf.get(id) ?? [];
      leavesOf.set(id, leaves);
      leaves.push({ leaf, entry });
    }
    const ofRun =
      leaf.name === 'result' && (runId === undefined || runId === `r_${Buffer.from(leaf.runId).toString('hex')}`);
    if (ofRun && leaf.name === 'result' && Buffer.from(leaf.adapterHash).toString('hex') === adapterSha256)
      found = {
        verdict: 'holds',
        claim: `adapter ${adapterSha256} is the result of round ${leaf.round + 1}`,
        entry,
        runId: `r_${Buffer.from(leaf.runId).toString('hex')}`,
      };
  }
  yield* walked.membership();
  if (runId !== undefined && !walked.runs.has(runId))
    yield { verdict: 'fails', claim: `the log knows no run ${runId}`, party: 'whoever named the run' };
  if (adapterSha256 !== undefined)
    yield (
      found ?? {
        verdict: 'fails',
        claim: `adapter ${adapterSha256} is the result of no round`,
        party: 'whoever handed it out',
      }
    );
  if (found !== undefined && adapterSha256 !== undefined && walked.isWithdrawn(found.runId, adapterSha256)) {
    const claim = `adapter ${adapterSha256} was withdrawn: its run was rolled back behind it`;
    yield { verdict: 'warning', claim, runId: found.runId };
  }
  for (const [id, { adapter, results, rollbacks, first }] of walked.runs) {
    if (runId !== undefined && id !== runId) continue;
    yield {
      verdict: 'holds',
      claim: `run ${id}: ${results} results, each from the one before${rollbacks === 0 ? '' : ` or where one of ${rollbacks} roll-backs lead`}, end in adapter ${adapter}`,
      runId: id,
    };
    if (recompute !== undefined) {
      yield* recompute({ runId: id as RunId, leaves: leavesOf.get(id) ?? [] });
      continue;
    }
    const unseen = [
      `that the first adapter, ${Buffer.from(first.adapterHash).toString('hex')}, follows from the run’s seed`,
      'that the updates add up to the results',
      'who the members were',
    ];
    for (const claim of unseen) yield { verdict: 'not checked', claim: `${claim}: no access`, runId: id };
  }
}

import { isWeftError } from '../errors/weft-error.ts';
import { organisationFingerprint } from '../endorsement.ts';
import { toFederationId } from '../identity.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { enrolledName } from './leaves.ts';
import type { LogTree } from './log-tree.ts';
import { checkNote, cosignedAt, parseNote, type SignedNote, type VerifierKey } from './signed-note.ts';
import type { Finding, LeafWalk } from './verify-leaves.ts';
import { parseWitnesses, wordOfWitness, type Witness } from './witness.ts';

export interface CosignedLog {
  readonly key: VerifierKey;
  readonly note: SignedNote;
  readonly tree: LogTree;
  readonly walked: LeafWalk;
  /** Some of the reader's own `--cosigner` keys signed the newest checkpoint. */
  readonly isCosignedByName: boolean;
}

const server = 'whoever keeps or serves these files';
const fails = (claim: string, party = server): Finding => ({ verdict: 'fails', claim, party });

/**
 * Which organisations cosigned: their nodes' signatures, each along the chain organisation → node → witness key. A witness
 * whose node the log has revoked counts no longer. Of the newest checkpoint and the one beside it that most organisations
 * signed, the one with more counts.
 *
 * @param trusted keys of organisations in hex, which the reader knows from elsewhere; undefined: those that the list names
 */
export async function* verifyWitnesses(
  read: (path: string) => Promise<Uint8Array | undefined>,
  { key, note, tree, walked, isCosignedByName }: CosignedLog,
  trusted: readonly string[] | undefined,
): AsyncGenerator<Finding, void, undefined> {
  let witnesses: Witness[];
  let older: SignedNote | undefined;
  try {
    witnesses = parseWitnesses((await read('witnesses')) ?? new Uint8Array());
    const bytes = await read('cosigned');
    older = bytes && parseNote(bytes);
    const wrong = older && fault(older, key, tree);
    if (wrong) {
      yield wrong;
      return;
    }
  } catch (error) {
    if (!isWeftError(error)) throw error;
    yield fails(error.message);
    return;
  }
  const federationId = toFederationId(key.publicKey);
  const known = witnesses.map((witness) => {
    const word = wordOfWitness(witness, federationId);
    const enrolled = walked.organisationOf(enrolledName(witness.nodeKey));
    return { witness, word: word !== undefined && enrolled === word.organisation ? word : undefined };
  });
  let best: { organisations: string[]; nobodys: number; size: number } | undefined;
  for (const signed of [note, ...(older ? [older] : [])]) {
    const good = known
      .filter(({ witness }) => checkNote(signed, witness.key) === 'good')
      .map(({ witness, word }) => {
        // Judged as of then: an old log does not lose its cosigners.
        const inForce = word !== undefined && cosignedAt(signed, witness.key)! < word.until;
        return { organisation: inForce ? word.organisation : undefined };
      });
    const bad = known.find(({ witness }) => checkNote(signed, witness.key) === 'bad');
    if (bad) yield fails(`the cosignature of ${bad.witness.key.name} does not hold`);
    const all = new Set(good.flatMap(({ organisation }) => organisation ?? []));
    const organisations = [...all].filter((name) => trusted === undefined || trusted.includes(name)).toSorted();
    const nobodys = good.filter(({ organisation }) => organisation === undefined).length;
    const { size } = parseCheckpoint(signed.text);
    if (best === undefined || organisations.length > best.organisations.length) best = { organisations, nobodys, size };
  }
  yield* findings(best!, tree.size, { trusted, isCosignedByName });
}

function* findings(
  { organisations, nobodys, size }: { organisations: readonly string[]; nobodys: number; size: number },
  entries: number,
  { trusted, isCosignedByName }: { trusted: readonly string[] | undefined; isCosignedByName: boolean },
): Generator<Finding> {
  const count = organisations.length;
  const of = trusted === undefined ? '' : ` of the ${trusted.length} that you trust`;
  const claim = `${count} ${count === 1 ? 'organisation' : 'organisations'}${of} cosigned the ${size === entries ? `checkpoint of ${size} entries` : `first ${size} of ${entries} entries`}`;
  if (count > 0) yield { verdict: 'holds', claim: `${claim}: ${organisations.map(named).join(', ')}` };
  else if (!isCosignedByName)
    yield { verdict: 'warning', claim: `${claim}: that all were shown the same log rests on the coordinator’s word` };
  if (count > 0 && trusted === undefined)
    yield {
      verdict: 'not checked',
      claim: 'that these are the organisations you mean: compare their keys, or name them with --organisation',
    };
  if (nobodys > 0)
    yield { verdict: 'warning', claim: `${nobodys} more cosigned in the name of no organisation that the log knows` };
}

const named = (organisation: string): string =>
  `${organisation} (${organisationFingerprint(Buffer.from(organisation, 'hex'))})`;

/** The cosigned checkpoint must be the coordinator's, and of this history. */
function fault(note: SignedNote, key: VerifierKey, tree: LogTree): Finding | undefined {
  const { origin, size, root } = parseCheckpoint(note.text);
  if (origin !== key.name || checkNote(note, key) !== 'good')
    return fails('the cosigned checkpoint beside the log is not signed by its key');
  const same = size <= tree.size && Buffer.from(tree.head(size).root).equals(root);
  return same
    ? undefined
    : fails(
        `the cosigned checkpoint of ${size} entries is no start of this log: two histories are signed`,
        'the coordinator',
      );
}

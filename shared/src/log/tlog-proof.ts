import { WeftError } from '../errors/weft-error.ts';
import { leafHash, rootFromInclusion } from '../merkle-tree.ts';
import { parseCheckpoint, type Checkpoint } from './checkpoint.ts';
import { checkNote, fromBase64, maxNoteBytes, parseNote, type SignedNote, type VerifierKey } from './signed-note.ts';

/** C2SP tlog-proof: an entry's place, the way to the root, and the signed checkpoint; no more is needed to check it. */
export interface TlogProof {
  readonly index: number;
  readonly hashes: readonly Uint8Array[];
  readonly note: SignedNote;
  readonly checkpoint: Checkpoint;
}

const header = 'c2sp.org/tlog-proof@v1';
/** The longest way in a tree of 2⁶³ leaves. */
const maxHashes = 63;
const maxProofBytes = maxNoteBytes + 8 * 1024;

/** @param note the checkpoint with its signatures, as it is served */
export const formatProof = (index: number, hashes: readonly Uint8Array[], note: string): string =>
  [header, `index ${index}`, ...hashes.map((hash) => Buffer.from(hash).toString('base64')), '', note].join('\n');

/** Data that others add (`extra`) is passed over. @throws WEFT_LOG_MALFORMED */
export function parseProof(bytes: Uint8Array): TlogProof {
  const malformed = (what: string): WeftError => new WeftError('WEFT_LOG_MALFORMED', `a proof of inclusion ${what}`);
  if (bytes.length > maxProofBytes) throw malformed(`of ${bytes.length} bytes, at most ${maxProofBytes} are allowed`);
  const text = Buffer.from(bytes).toString();
  const end = text.indexOf('\n\n');
  const [first, ...rest] = text.slice(0, Math.max(end, 0)).split('\n');
  const [place = '', ...lines] = rest[0]?.startsWith('extra ') === true ? rest.slice(1) : rest;
  const [, digits = ''] = /^index (0|[1-9]\d{0,15})$/.exec(place) ?? [];
  if (first !== header || digits === '') throw malformed(`begins with ${header} and an index`);
  if (lines.length > maxHashes) throw malformed(`has ${lines.length} hashes, at most ${maxHashes} are allowed`);
  const hashes = lines.map((line) => {
    const hash = fromBase64(line);
    if (hash?.length !== 32) throw malformed('has lines that are no hash');
    return hash;
  });
  const note = parseNote(Buffer.from(text.slice(end + 2)));
  return { index: Number(digits), hashes, note, checkpoint: parseCheckpoint(note.text) };
}

/** @returns what is wrong, or undefined where the log of this key holds the entry at that place */
export function checkProof(
  { index, hashes, note, checkpoint: { origin, size, root } }: TlogProof,
  entry: Uint8Array,
  key: VerifierKey,
): string | undefined {
  if (origin !== key.name || checkNote(note, key) !== 'good')
    return `the checkpoint of ${origin} is not signed by ${key.name}`;
  const reached = rootFromInclusion(leafHash(entry), { index, size, proof: hashes });
  return reached !== undefined && Buffer.from(reached).equals(root)
    ? undefined
    : `the proof does not lead from entry ${index} to the root of ${size} entries`;
}

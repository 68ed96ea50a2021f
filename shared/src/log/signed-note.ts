import { createHash } from 'node:crypto';
import { WeftError } from '../errors/weft-error.ts';
import { verifySignature, type Identity } from '../identity.ts';

/** C2SP signed-note: text, a blank line, one line for each signature. */
export interface SignedNote {
  /** With its last line end: exactly what is signed. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

export interface NoteSignature {
  readonly name: string;
  readonly keyId: number;
  /** What follows the key id: 64 bytes of an Ed25519 log key, 72 of a cosignature. */
  readonly signature: Uint8Array;
}

/** A key as C2SP writes it for verifiers: `name+hash+base64(algorithm ‖ key)`. */
export interface VerifierKey {
  readonly name: string;
  readonly keyId: number;
  readonly algorithm: NoteAlgorithm;
  /** 32 bytes, Ed25519. */
  readonly publicKey: Uint8Array;
}

/** C2SP's bytes for Ed25519 over the text, and for a witness's Ed25519 over time and text (tlog-cosignature). */
const algorithmBytes = { ed25519: 1, cosignature: 4 } as const;
export type NoteAlgorithm = keyof typeof algorithmBytes;

/** A checkpoint is a few hundred bytes and 100 lines of signatures at most: each under 400 bytes. */
export const maxNoteBytes = 64 * 1024;
/** The most that Go's implementation reads. */
export const maxSignatures = 100;
const timestampBytes = 8;

const malformed = (what: string): WeftError => new WeftError('WEFT_LOG_MALFORMED', what);

/** Not empty, no space of Unicode, no plus, no control character. */
const isKeyName = (name: string): boolean => /^[^\s+\p{Cc}]{1,256}$/u.test(name);

/** SHA-256(name ‖ 0x0A ‖ algorithm ‖ key), the first four bytes. */
function keyIdOf(name: string, algorithm: NoteAlgorithm, publicKey: Uint8Array): number {
  const hash = createHash('sha256').update(`${name}\n`).update(Uint8Array.of(algorithmBytes[algorithm]));
  return hash.update(publicKey).digest().readUInt32BE(0);
}

export const verifierKey = (
  name: string,
  publicKey: Uint8Array,
  algorithm: NoteAlgorithm = 'ed25519',
): VerifierKey => ({ name, algorithm, publicKey, keyId: keyIdOf(name, algorithm, publicKey) });

const hexId = (keyId: number): string => keyId.toString(16).padStart(8, '0');

export const formatVerifierKey = ({ name, keyId, algorithm, publicKey }: VerifierKey): string =>
  `${name}+${hexId(keyId)}+${Buffer.concat([Uint8Array.of(algorithmBytes[algorithm]), publicKey]).toString('base64')}`;

/** @throws WEFT_LOG_MALFORMED */
export function parseVerifierKey(text: string): VerifierKey {
  const [, name = '', id = '', base64 = ''] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44})$/.exec(text) ?? [];
  const bytes = fromBase64(base64);
  const algorithm = (Object.keys(algorithmBytes) as NoteAlgorithm[]).find((key) => algorithmBytes[key] === bytes?.[0]);
  if (!isKeyName(name) || bytes?.length !== 33 || algorithm === undefined)
    throw malformed('the verifier key is not name+hash+key of an Ed25519 key');
  const key = verifierKey(name, bytes.subarray(1), algorithm);
  if (hexId(key.keyId) !== id) throw malformed(`the verifier key says hash ${id}, its key has ${hexId(key.keyId)}`);
  return key;
}

/**
 * Signs a note's text as a log's own key does. A text begins with its origin, so no body of `domains` can pass for one.
 * @throws RangeError for a text that is no note's
 */
export function signNote(text: string, key: VerifierKey, sign: Identity['sign']): SignedNote {
  if (!isText(text)) throw new RangeError('a note is lines of text that end in a line end');
  return { text, signatures: [{ name: key.name, keyId: key.keyId, signature: sign(Buffer.from(text)) }] };
}

/** tlog-cosignature: `cosignature/v1`, a line with the time in seconds, then the text. */
const cosignedBytes = (text: string, seconds: bigint): Uint8Array =>
  Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`);

/** A witness's signature, made at `seconds` since 1970: the time as u64, then 64 bytes. */
export function cosignatureOf(text: string, sign: Identity['sign'], seconds: bigint): Uint8Array {
  const timestamp = Buffer.alloc(timestampBytes);
  timestamp.writeBigUInt64BE(seconds);
  return Buffer.concat([timestamp, sign(cosignedBytes(text, seconds))]);
}

/** The note with one signature more. */
export const withSignature = (note: SignedNote, { name, keyId }: VerifierKey, signature: Uint8Array): SignedNote => ({
  ...note,
  signatures: [...note.signatures, { name, keyId, signature }],
});

export const formatNote = ({ text, signatures }: SignedNote): string =>
  `${text}\n${signatures.map(({ name, keyId, signature }) => `— ${name} ${toSignatureText(keyId, signature)}\n`).join('')}`;

function toSignatureText(keyId: number, signature: Uint8Array): string {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(keyId);
  return Buffer.concat([id, signature]).toString('base64');
}

/** @throws WEFT_LOG_MALFORMED */
export function parseNote(bytes: Uint8Array): SignedNote {
  if (bytes.length > maxNoteBytes)
    throw malformed(`a note of ${bytes.length} bytes, at most ${maxNoteBytes} are allowed`);
  const whole = toText(bytes);
  const end = whole.lastIndexOf('\n\n');
  const text = whole.slice(0, end + 1);
  const rest = whole.slice(end + 2);
  if (end < 0 || !isText(text) || !rest.endsWith('\n'))
    throw malformed('a note is text, an empty line and lines of signatures');
  const lines = rest.slice(0, -1).split('\n');
  if (lines.length > maxSignatures)
    throw malformed(`a note with ${lines.length} signatures, at most ${maxSignatures} are allowed`);
  return { text, signatures: lines.map(parseSignatureLine) };
}

function parseSignatureLine(line: string): NoteSignature {
  const [, name = '', base64 = ''] = /^— (\S+) ([A-Za-z0-9+/=]+)$/.exec(line) ?? [];
  const bytes = fromBase64(base64);
  if (!isKeyName(name) || bytes === undefined || bytes.length < 5)
    throw malformed('a line of a note’s signatures is not a dash, a name and base64');
  return { name, keyId: bytes.readUInt32BE(0), signature: bytes.subarray(4) };
}

const signatureBy = ({ signatures }: SignedNote, key: VerifierKey): NoteSignature | undefined =>
  signatures.find(({ name, keyId }) => name === key.name && keyId === key.keyId);

/** 'bad' where the note names this key and its signature does not hold: then nothing of the note is to be believed. */
export function checkNote(note: SignedNote, key: VerifierKey): 'good' | 'bad' | 'absent' {
  const own = signatureBy(note, key);
  if (own === undefined) return 'absent';
  return holds(note.text, own.signature, key) ? 'good' : 'bad';
}

function holds(text: string, signature: Uint8Array, { algorithm, publicKey }: VerifierKey): boolean {
  if (algorithm === 'ed25519') return verifySignature(publicKey, Buffer.from(text), signature);
  if (signature.length !== timestampBytes + 64) return false;
  const seconds = Buffer.from(signature).readBigUInt64BE(0);
  return verifySignature(publicKey, cosignedBytes(text, seconds), signature.subarray(timestampBytes));
}

/** When a cosignature that holds was made, by its witness's own word: seconds since 1970. */
export const cosignatureTime = (signature: Uint8Array): number => Number(Buffer.from(signature).readBigUInt64BE(0));

/** When this witness signed, by its own word: seconds since 1970, where `checkNote` says 'good'. */
export function cosignedAt(note: SignedNote, key: VerifierKey): number | undefined {
  const own = signatureBy(note, key);
  return own && cosignatureTime(own.signature);
}

/** Lines of printable text, each ended, the last too. */
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const isText = (text: string): boolean => text.endsWith('\n') && !/[\u0000-\u0009\u000b-\u001f]/.test(text);

function toText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new WeftError('WEFT_LOG_MALFORMED', 'a note is not UTF-8', {}, { cause });
  }
}

/** Only the one base64 of some bytes. */
export function fromBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isWeftError } from '../errors/weft-error.ts';
import { createIdentity } from '../identity.ts';
import { formatCheckpoint, parseCheckpoint } from './checkpoint.ts';
import {
  checkNote,
  cosignatureOf,
  formatNote,
  formatVerifierKey,
  parseNote,
  parseVerifierKey,
  signNote,
  verifierKey,
  withSignature,
} from './signed-note.ts';

// The key and the note of Go's golang.org/x/mod/sumdb/note, whose documentation and tests every implementation shares.
const seed = Buffer.from('AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz', 'base64').subarray(1);
const keyText = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const goNote = `${text}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`;
// The example of C2SP's signed-note.
const c2spNote = `This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n`;
const c2spKey = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';

const malformed = (run: () => unknown): void =>
  expect(run).toThrow(expect.toSatisfy((error) => isWeftError(error, 'WEFT_LOG_MALFORMED')));

describe('signed note', () => {
  const { identity } = createIdentity(seed);
  const key = verifierKey('PeterNeumann', identity.publicKey);

  it('is byte for byte the note that Go writes', () => {
    expect(formatVerifierKey(key)).toBe(keyText);
    expect(formatNote(signNote(text, key, (message) => identity.sign(message)))).toBe(goNote);
  });

  it('reads and verifies the notes of others', () => {
    expect(checkNote(parseNote(Buffer.from(goNote)), parseVerifierKey(keyText))).toBe('good');
    expect(checkNote(parseNote(Buffer.from(c2spNote)), parseVerifierKey(c2spKey))).toBe('good');
    expect(checkNote(parseNote(Buffer.from(goNote)), parseVerifierKey(c2spKey))).toBe('absent');
  });

  it('holds for no other text and no other signature', () => {
    const note = parseNote(Buffer.from(goNote));
    expect(checkNote({ ...note, text: note.text.replace('answer', 'Answer') }, key)).toBe('bad');
    const [own] = note.signatures;
    const signature = Uint8Array.from(own!.signature);
    signature[10]! ^= 1;
    expect(checkNote({ ...note, signatures: [{ ...own!, signature }] }, key)).toBe('bad');
  });

  it('takes cosignatures of witnesses beside the log’s own', () => {
    const witness = createIdentity().identity;
    const witnessKey = verifierKey('example.org/witness', witness.publicKey, 'cosignature');
    const own = parseNote(Buffer.from(goNote));
    const signature = cosignatureOf(own.text, (bytes) => witness.sign(bytes), 1_679_315_147n);
    const cosigned = withSignature(own, witnessKey, signature);
    const read = parseNote(Buffer.from(formatNote(cosigned)));
    expect(checkNote(read, parseVerifierKey(formatVerifierKey(witnessKey)))).toBe('good');
    expect(checkNote(read, key)).toBe('good');
    expect(checkNote({ ...read, text: `${text}more\n` }, witnessKey)).toBe('bad');
  });

  it('refuses keys whose name, hash or algorithm is another', () => {
    for (const broken of [
      keyText.slice(1),
      keyText.slice(0, -1),
      keyText.replace('c74f20a3', 'c74f20a4'),
      'PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
      'PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==',
    ])
      malformed(() => parseVerifierKey(broken));
  });

  it('answers any bytes with a note or a catalogued error', () => {
    for (const broken of [
      '',
      '\n',
      'text',
      'text\n',
      'text\n\n',
      `${text}\n— a b\n`,
      goNote.slice(0, -1),
      `\u0001${goNote}`,
    ])
      malformed(() => parseNote(Buffer.from(broken)));
    malformed(() => parseNote(Buffer.from(text + '\n' + goNote.slice(text.length + 1).repeat(101))));
    const mutated = fc
      .tuple(fc.nat(goNote.length), fc.uint8Array({ maxLength: 8 }))
      .map(([at, bytes]) =>
        Buffer.concat([Buffer.from(goNote).subarray(0, at), bytes, Buffer.from(goNote).subarray(at + 1)]),
      );
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), mutated), (bytes) => {
        try {
          const note = parseNote(bytes);
          expect(Buffer.from(formatNote(note)).equals(bytes)).toBe(true);
        } catch (error) {
          expect(isWeftError(error, 'WEFT_LOG_MALFORMED')).toBe(true);
        }
      }),
    );
  });
});

describe('checkpoint', () => {
  // The example of C2SP's tlog-checkpoint.
  const example = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';

  it('reads and writes the example of the specification', () => {
    const { origin, size } = parseCheckpoint(example);
    expect([origin, size]).toEqual(['example.com/behind-the-sofa', 20852163]);
    expect(formatCheckpoint(parseCheckpoint(example))).toBe(example);
    expect(parseCheckpoint(`${example}extension\n`).extensions).toEqual(['extension']);
  });

  it('has one form, and any other text is refused', () => {
    for (const broken of [
      example.replace('2085', '02085'),
      example.replace('20852163', '99999999999999999'),
      example.replace('q2I=', 'q2J='),
      example.slice(0, -1),
      `${example}\n`,
      '',
    ])
      malformed(() => parseCheckpoint(broken));
    fc.assert(
      fc.property(fc.string(), fc.nat(example.length), (piece, at) => {
        const changed = example.slice(0, at) + piece + example.slice(at);
        try {
          expect(formatCheckpoint(parseCheckpoint(changed))).toBe(changed);
        } catch (error) {
          expect(isWeftError(error, 'WEFT_LOG_MALFORMED')).toBe(true);
        }
      }),
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TextStream } from './text-stream.ts';

/** A token a byte: every character beyond ASCII comes in parts. */
const bytes = { decode: (ids: readonly number[]): string => new TextDecoder().decode(Uint8Array.from(ids)) };
/** A space before each token, stripped from a text's start, as SentencePiece's decoders do. */
const spaced = {
  decode: (ids: readonly number[]): string =>
    ids
      .map((id) => ` w${id}`)
      .join('')
      .slice(1),
};

const piecesOf = (text: string, stops: readonly string[] = []): string[] => {
  const stream = new TextStream(bytes, [], stops);
  return [...Array.from(new TextEncoder().encode(text), (byte) => stream.push(byte)), stream.end()];
};

describe('a stream of text', () => {
  it('holds a character back until its last byte', () => {
    expect(piecesOf('aé€😀')).toEqual(['a', '', 'é', '', '', '€', '', '', '', '😀', '']);
  });

  it('gives the whole text, whatever it is, in whole characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const pieces = piecesOf(text);
        expect(pieces.join('')).toBe(text);
        expect(pieces.every((piece) => piece.isWellFormed())).toBe(true);
      }),
    );
  });

  it('gives out broken bytes at the end', () => {
    const stream = new TextStream(bytes);
    expect([stream.push(0x61), stream.push(0xe2), stream.end()]).toEqual(['a', '', '\uFFFD']);
  });

  it('keeps the space of a token that follows a prompt', () => {
    const stream = new TextStream(spaced, [1, 2]);
    expect([stream.push(3), stream.push(4)]).toEqual([' w3', ' w4']);
  });

  it('ends before a stop string, and holds back what may become one', () => {
    expect(piecesOf('ab##c##END more', ['##END', 'zz']).join('|')).toBe('a|b|||##c|||||||||||');
  });

  it('gives a stop string that was only begun when there is no more', () => {
    expect(piecesOf('ab##EN', ['##END']).join('')).toBe('ab##EN');
  });

  it('ends at the first stop string, for every text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', 'b', 'é') }),
        fc.constantFrom('ab', 'aab', 'éa'),
        (text, stop) => {
          expect(piecesOf(text, [stop]).join('')).toBe(text.split(stop)[0]);
        },
      ),
    );
  });
});

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { quantiseInt4 } from './int4.ts';
import { quantiseInt8 } from './int8.ts';
import type { RowPieces } from './row-pieces.ts';

interface Quantised {
  readonly levels: string;
  readonly scales: string;
}
/** What numpy makes of a matrix with a row and a column of zeros, ties, and rows of very different size. */
const golden = JSON.parse(
  readFileSync(new URL('../../../test/golden/quantised.json', import.meta.url), 'utf8'),
) as Record<'forward' | 'backward' | 'centred' | 'blocks', Quantised> & { shape: [number, number]; weight: string };

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(text, 'base64'));
const weight = new Float32Array(bytesOf(golden.weight).buffer);

const piecesOf = (values: Float32Array, [, columns]: readonly [number, number], pieceRows: number): RowPieces =>
  async function* read() {
    for (let start = 0; start < values.length; start += pieceRows * columns) {
      yield { firstRow: start / columns, values: values.slice(start, start + pieceRows * columns) };
    }
  };

const expectSame = (made: { levels: Int8Array | Uint8Array; scales: Float32Array }, { levels, scales }: Quantised) => {
  expect(new Uint8Array(made.levels.buffer)).toEqual(bytesOf(levels));
  expect(new Uint8Array(made.scales.buffer)).toEqual(bytesOf(scales));
};

describe.each([1, 7, 65, 1000])('a weight read %i rows at a time', (pieceRows) => {
  const pieces = piecesOf(weight, golden.shape, pieceRows);

  it('has the int8 levels and scales that numpy makes, both ways', async () => {
    const { forward, backward } = await quantiseInt8(pieces, golden.shape, { centred: false });
    expectSame(forward, golden.forward);
    expectSame(backward, golden.backward);
    const head = await quantiseInt8(pieces, golden.shape, { centred: true });
    expectSame(head.forward, golden.forward);
    expectSame(head.backward, golden.centred);
  });

  it('has the int4 levels and scales that numpy makes', async () => {
    expectSame(await quantiseInt4(pieces, golden.shape), golden.blocks);
  });
});

it.each([Number.NaN, Number.POSITIVE_INFINITY])('a row that holds %d has a scale that says so', async (value) => {
  const damaged = weight.slice();
  damaged[3 * golden.shape[1] + 40] = value;
  const { forward } = await quantiseInt8(piecesOf(damaged, golden.shape, 10), golden.shape, { centred: false });
  expect(forward.scales[3]).toBe(Number.POSITIVE_INFINITY);
  const blocks = await quantiseInt4(piecesOf(damaged, golden.shape, 10), golden.shape);
  expect(blocks.scales[3 * 3 + 1]).toBe(Number.NEGATIVE_INFINITY);
});

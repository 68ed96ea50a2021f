import { secagg, signedWords, toRing, WeftError, wordsOf, type UpdateEncoding } from '@weft/shared';

type PieceCheck = (piece: Uint8Array) => void;

/**
 * Looks at an update's ring words as they pass: coordinates of at most Q in magnitude, then the limbs of the weight that
 * the signed Update names. A coordinate beyond the cap could carry the sum out of the ring.
 * @throws WEFT_UPDATE_WRONG_RING, WEFT_UPDATE_WRONG_WEIGHT
 */
export function createPayloadCheck({ form, grid }: UpdateEncoding, weight: number): PieceCheck {
  const { dim, bits } = form;
  const { coordinateCap } = grid;
  const unpacker = new secagg.WordUnpacker(bits, wordsOf(form));
  const limbs = toRing({ ...form, dim: 0 }, new Int32Array(), weight);
  let position = 0;
  return (piece) => {
    const words = unpacker.read(piece);
    const signed = signedWords(words, bits);
    for (let i = 0; i < words.length; i++, position++) {
      if (position < dim) {
        if (Math.abs(signed[i]!) > coordinateCap) {
          throw new WeftError(
            'WEFT_UPDATE_WRONG_RING',
            `coordinate ${position} is ${signed[i]}, the ring takes ±${coordinateCap}`,
          );
        }
      } else if (words[i] !== limbs[position - dim]) {
        throw new WeftError(
          'WEFT_UPDATE_WRONG_WEIGHT',
          `ring word ${position} is ${words[i]}; of the signed weight ${weight} it is ${limbs[position - dim]}`,
        );
      }
    }
  };
}

/**
 * Of a masked vector every word is as likely as any other; only the bits behind the last one must be zero.
 * @throws WEFT_UPDATE_WRONG_RING
 */
export function createPaddingCheck({ offered: { words, bits }, payloadBytes }: UpdateEncoding): PieceCheck {
  let passed = 0;
  return (piece) => {
    passed += piece.length;
    if (passed !== payloadBytes || piece.length === 0) return;
    const stray = secagg.strayBits(piece.at(-1)!, words, bits);
    if (stray === 0) return;
    throw new WeftError(
      'WEFT_UPDATE_WRONG_RING',
      `behind the last of ${words} words of ${bits} bits stands ${stray}, not 0`,
    );
  };
}

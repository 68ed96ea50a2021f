import {
  longestUpdate,
  secagg,
  signedWords,
  toRing,
  WeftError,
  wordsOf,
  type Sha256,
  type UpdateEncoding,
} from '@weft/shared';
import type { BoundUpdate } from './binding.ts';

type PieceCheck = (piece: Uint8Array) => void;

/** Looks at an update's bytes as they pass, in pieces of any size. */
export interface UploadCheck {
  /** @throws WEFT_UPDATE_WRONG_RING, WEFT_UPDATE_WRONG_WEIGHT, WEFT_UPDATE_WRONG_NORM */
  readonly take: PieceCheck;
  /** Once all have passed; of what travels plain there is none. */
  readonly chunkRoot: () => Sha256 | undefined;
}

/** In mode plain each word is looked at; of a masked vector its end, and the root over its chunks is kept. */
export function createUploadCheck({
  masked,
  encoding,
  weight,
}: Pick<BoundUpdate, 'masked' | 'encoding' | 'weight'>): UploadCheck {
  if (!masked) return { take: createPayloadCheck(encoding, weight), chunkRoot: () => undefined };
  const root = new secagg.ChunkRoot();
  const checkPadding = createPaddingCheck(encoding);
  return {
    take(piece) {
      checkPadding(piece);
      root.add(piece);
    },
    chunkRoot: () => Buffer.from(root.root()).toString('hex') as Sha256,
  };
}

/**
 * Looks at an update's ring words as they pass: coordinates of at most Q in magnitude, then the limbs of the weight that
 * the signed Update names. A coordinate beyond the cap could carry the sum out of the ring. Together they are no longer
 * than the clip norm and the claimed weight allow: ‖q‖ ≤ s·C·w/w_max + √d, as each coordinate is rounded by less than one.
 * @throws WEFT_UPDATE_WRONG_RING, WEFT_UPDATE_WRONG_WEIGHT, WEFT_UPDATE_WRONG_NORM
 */
function createPayloadCheck(encoding: UpdateEncoding, weight: number): PieceCheck {
  const { form, grid } = encoding;
  const { dim, bits } = form;
  const { coordinateCap } = grid;
  const longest = longestUpdate(encoding, weight);
  let square = 0;
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
        square += signed[i]! ** 2;
        if (position === dim - 1 && Math.sqrt(square) > longest) {
          throw new WeftError(
            'WEFT_UPDATE_WRONG_NORM',
            `the update is ${Math.sqrt(square).toPrecision(6)} units of the ring long, one that was clipped and weighs ${weight} is ${longest.toPrecision(6)} at most`,
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
function createPaddingCheck({ offered: { words, bits }, payloadBytes }: UpdateEncoding): PieceCheck {
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

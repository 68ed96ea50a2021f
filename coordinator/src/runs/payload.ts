import { ring, WeftError } from '@weft/shared';

/**
 * Looks at an update's ring words as they pass: coordinates of at most 2¹⁵ − 1 in magnitude, then the weight that the
 * signed Update names. A coordinate beyond the cap could carry the sum out of the ring.
 * @throws WEFT_UPDATE_WRONG_RING, WEFT_UPDATE_WRONG_WEIGHT
 */
export function createPayloadCheck({
  values,
  weight,
}: {
  values: number;
  weight: number;
}): (piece: Uint8Array) => void {
  let position = 0;
  return (piece) => {
    const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
    for (let at = 0; at < piece.length; at += ring.wordBytes, position++) {
      if (position < values) {
        const coordinate = view.getInt32(at, true);
        if (coordinate > ring.coordinateCap || coordinate < -ring.coordinateCap) {
          throw new WeftError(
            'WEFT_UPDATE_WRONG_RING',
            `coordinate ${position} is ${coordinate}, the ring takes ±${ring.coordinateCap}`,
          );
        }
      } else if (view.getUint32(at, true) !== weight) {
        throw new WeftError(
          'WEFT_UPDATE_WRONG_WEIGHT',
          `the last ring word is ${view.getUint32(at, true)}, the signed weight is ${weight}`,
        );
      }
    }
  };
}

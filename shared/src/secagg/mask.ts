import { createCipheriv } from 'node:crypto';

/** Words of the ring Z₂ᵇ in memory: the smallest width that holds b bits. */
export type RingWords = Uint8Array | Uint16Array | Uint32Array;

export const minRingBits = 8;
export const maxRingBits = 32;

/** Zeros. @param bits 8 … 32 */
export function ringWords(bits: number, length: number): RingWords {
  if (!Number.isInteger(bits) || bits < minRingBits || bits > maxRingBits)
    throw new RangeError(`a ring of ${bits} bits; ${minRingBits} to ${maxRingBits} are supported`);
  if (bits === 8) return new Uint8Array(length);
  return bits <= 16 ? new Uint16Array(length) : new Uint32Array(length);
}

/** 2ᵇ − 1 as the mask of one word. */
const wordMask = (bits: number): number => (bits === 32 ? 0xffff_ffff : 2 ** bits - 1);

/** words mod 2ᵇ, in place. Between additions the words may run over b bits: they wrap at their own width. */
export function reduceWords(words: RingWords, bits: number): void {
  const mask = wordMask(bits);
  if (bits === 8 * words.BYTES_PER_ELEMENT) return;
  for (let i = 0; i < words.length; i++) words[i] = words[i]! & mask;
}

// One call over the whole vector would pass through main memory several times: a piece stays in the cache.
const pieceBytes = 64 * 1024;
const zeros = Buffer.alloc(pieceBytes);
const littleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/**
 * words ± PRG(seed): AES-256-CTR with a zero IV over zeros, read as little-endian words as wide as `words`.
 * Call {@link reduceWords} once after the last addition.
 * @param seed 32 bytes
 */
export function addMask(words: RingWords, seed: Uint8Array, sign: 1 | -1): void {
  const cipher = createCipheriv('aes-256-ctr', seed, Buffer.alloc(16));
  const width = words.BYTES_PER_ELEMENT;
  for (let start = 0; start < words.byteLength; start += pieceBytes) {
    const size = Math.min(pieceBytes, words.byteLength - start);
    const whole = Math.ceil(size / lanesBytes) * lanesBytes;
    const piece = cipher.update(zeros.subarray(0, whole));
    if (!littleEndian && width > 1) swapBytes(piece, width);
    if (size % lanesBytes === 0 && (words.byteOffset + start) % lanesBytes === 0) {
      addLanes(lanesOf(words, start, size), lanesOf(piece, 0, size), width, sign);
      continue;
    }
    // The end of a vector, or one that begins between two lanes: by way of words of its own.
    const own = new Uint8Array(whole);
    const place = new Uint8Array(words.buffer, words.byteOffset + start, size);
    own.set(place);
    addLanes(lanesOf(own, 0, whole), lanesOf(piece, 0, whole), width, sign);
    place.set(own.subarray(0, size));
  }
}

// Four bytes at once, as signed integers: sums of unsigned 32-bit words would pass through doubles, at a third of the speed.
const lanesBytes = 4;

function lanesOf(view: Uint8Array | RingWords, start: number, size: number): Int32Array {
  const at = view.byteOffset + start;
  if (at % lanesBytes === 0) return new Int32Array(view.buffer, at, size / lanesBytes);
  return new Int32Array(Uint8Array.from(new Uint8Array(view.buffer, at, size)).buffer);
}

const swapBytes = (piece: Buffer, width: number): Buffer => (width === 2 ? piece.swap16() : piece.swap32());

/** words ± mask, each lane of `width` bytes for itself. */
function addLanes(words: Int32Array, mask: Int32Array, width: number, sign: 1 | -1): void {
  if (width === lanesBytes) {
    if (sign === 1) for (let i = 0; i < words.length; i++) words[i] = (words[i]! + mask[i]!) | 0;
    else for (let i = 0; i < words.length; i++) words[i] = (words[i]! - mask[i]!) | 0;
    return;
  }
  // The highest bit of a lane is added without carry, so that none runs into the next lane (Hacker's Delight, section 2-18).
  const high = width === 1 ? 0x8080_8080 | 0 : 0x8000_8000 | 0;
  const low = ~high;
  if (sign === 1) {
    for (let i = 0; i < words.length; i++) {
      const a = words[i]!;
      const b = mask[i]!;
      words[i] = ((a & low) + (b & low)) ^ ((a ^ b) & high);
    }
  } else {
    for (let i = 0; i < words.length; i++) {
      const a = words[i]!;
      const b = mask[i]!;
      words[i] = ((a | high) - (b & low)) ^ ((a ^ ~b) & high);
    }
  }
}

/** Bytes of `length` words of b bits without gaps. */
export const packedBytes = (length: number, bits: number): number => Math.ceil((length * bits) / 8);

/** Words as they travel: b bits each, the lowest bit first, without gaps; the bits behind the last word are zero. */
export function packWords(words: RingWords, bits: number): Uint8Array {
  const packed = new Uint8Array(packedBytes(words.length, bits));
  let held = 0; // fewer than 8 + 32 bits: a double holds them exactly
  let heldBits = 0;
  let at = 0;
  for (let i = 0; i < words.length; i++) {
    held += words[i]! * 2 ** heldBits;
    heldBits += bits;
    while (heldBits >= 8) {
      packed[at++] = held % 256;
      held = Math.floor(held / 256);
      heldBits -= 8;
    }
  }
  if (heldBits > 0) packed[at] = held;
  return packed;
}

/** @returns undefined where the length is off or bits behind the last word are set */
export function unpackWords(packed: Uint8Array, length: number, bits: number): RingWords | undefined {
  if (packed.length !== packedBytes(length, bits)) return undefined;
  const words = ringWords(bits, length);
  const modulus = 2 ** bits;
  let held = 0;
  let heldBits = 0;
  let at = 0;
  for (let i = 0; i < length; i++) {
    while (heldBits < bits) {
      held += packed[at++]! * 2 ** heldBits;
      heldBits += 8;
    }
    words[i] = held % modulus;
    held = Math.floor(held / modulus);
    heldBits -= bits;
  }
  return held === 0 ? words : undefined;
}

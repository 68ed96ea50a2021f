import { WeftError } from '../errors/weft-error.ts';
import type { LogTree } from './log-tree.ts';

/** C2SP tlog-tiles: a tree of height 8 tiles of 256 hashes, and bundles of 256 entries. */
const tileHeight = 8;
export const tileWidth = 256;
/** u16 in front of each entry. */
export const maxEntryBytes = 0xffff;
export const maxBundleBytes = tileWidth * (2 + maxEntryBytes);

const malformed = (what: string): WeftError => new WeftError('WEFT_LOG_MALFORMED', what);

/** 1234067 → x001/x234/067; a partial tile of W hashes lies in `.p/W`. */
function indexPath(index: number, width: number): string {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g)!;
  const path = groups.map((group, place) => (place < groups.length - 1 ? `x${group}` : group)).join('/');
  return width === tileWidth ? path : `${path}.p/${width}`;
}

export interface Tile {
  readonly level: number;
  readonly index: number;
  /** Hashes in it: 256, or fewer in the last one of its level. */
  readonly width: number;
}

export const tilePath = ({ level, index, width }: Tile): string => `tile/${level}/${indexPath(index, width)}`;
export const bundlePath = ({ index, width }: Omit<Tile, 'level'>): string => `tile/entries/${indexPath(index, width)}`;

/** Paths that a log's server may be asked for below its prefix: nothing else is a file. */
export const isTilePath = (path: string): boolean =>
  /^tile\/(\d{1,2}|entries)\/(x\d{3}\/){0,5}\d{3}(\.p\/([1-9]|[1-9]\d|1\d\d|2[0-4]\d|25[0-5]))?$/.test(path);

/** Bundles that hold the entries of a log of this size. */
export const bundlesOf = (size: number): Omit<Tile, 'level'>[] => rowOf(size);

/** Every tile of a log of this size, level by level. */
export function tilesOf(size: number): Tile[] {
  const tiles: Tile[] = [];
  for (let level = 0, hashes = size; hashes > 0; level++, hashes = Math.floor(hashes / tileWidth))
    tiles.push(...rowOf(hashes).map((place) => ({ level, ...place })));
  return tiles;
}

/** Tiles that differ between a log of `from` leaves and one of `size`: those that are to be written. */
export const tilesSince = (from: number, size: number): Tile[] =>
  tilesOf(size).filter(({ level, index, width }) => {
    const before = Math.floor(from / tileWidth ** level);
    return index * tileWidth + width > before;
  });

export const bundlesSince = (from: number, size: number): Omit<Tile, 'level'>[] =>
  bundlesOf(size).filter(({ index, width }) => index * tileWidth + width > from);

const rowOf = (count: number): { index: number; width: number }[] =>
  Array.from({ length: Math.ceil(count / tileWidth) }, (_, index) => ({
    index,
    width: Math.min(tileWidth, count - index * tileWidth),
  }));

/** The hashes of a tile, one after the other. */
export const tileBytes = (tree: LogTree, { level, index, width }: Tile): Uint8Array =>
  Buffer.concat(tree.hashes(level * tileHeight, index * tileWidth, index * tileWidth + width));

export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    entries.flatMap((entry) => {
      if (entry.length > maxEntryBytes) throw new RangeError(`an entry of ${entry.length} bytes`);
      return [Uint8Array.of(entry.length >> 8, entry.length & 255), entry];
    }),
  );
}

/** @throws WEFT_LOG_MALFORMED unless the bytes are exactly `width` entries */
export function decodeBundle(bytes: Uint8Array, width: number): Uint8Array[] {
  const entries: Uint8Array[] = [];
  let at = 0;
  for (; entries.length < width;) {
    const length = at + 2 <= bytes.length ? (bytes[at]! << 8) | bytes[at + 1]! : undefined;
    if (length === undefined || at + 2 + length > bytes.length)
      throw malformed(`a bundle of ${bytes.length} bytes ends in entry ${entries.length} of ${width}`);
    entries.push(bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  if (at !== bytes.length) throw malformed(`${bytes.length - at} bytes trail behind ${width} entries`);
  return entries;
}

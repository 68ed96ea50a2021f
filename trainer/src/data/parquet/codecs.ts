import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { type Compressors, snappyUncompress } from 'hyparquet';
import { ParquetFault } from './parquet-fault.ts';

/** A copy of 64 bytes takes 2 or 3: no block of snappy grows more than this. */
const snappyGrowth = 64;

type Decompress = (page: Uint8Array, sizeBytes: number) => Uint8Array;

/**
 * The codecs that pandas, pyarrow, polars, DuckDB and Spark write by default or by a common flag; none gives more bytes
 * than the page's header says.
 * @param onPage called before each page
 */
export function codecs(onPage: () => void): Compressors {
  const counted =
    (decompress: Decompress): Decompress =>
    (page, sizeBytes) => {
      onPage();
      return sizeBytes === 0 ? new Uint8Array() : decompress(page, sizeBytes);
    };
  return {
    SNAPPY: counted((page, sizeBytes) => {
      if (sizeBytes > snappyGrowth * page.length) throw new ParquetFault('a snappy page is shorter than its size');
      const output = new Uint8Array(sizeBytes);
      snappyUncompress(page, output);
      return output;
    }),
    GZIP: counted((page, maxOutputLength) => gunzipSync(page, { maxOutputLength })),
    BROTLI: counted((page, maxOutputLength) => brotliDecompressSync(page, { maxOutputLength })),
    ZSTD: counted((page, maxOutputLength) => zstdDecompressSync(page, { maxOutputLength })),
  };
}

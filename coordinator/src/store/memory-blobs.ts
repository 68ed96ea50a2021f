import { sha256, WeftError, type Sha256 } from '@weft/shared';
import { endsBefore, pieceBytes, type BlobStore, type PartialBlob } from './blob-store.ts';

/** For tests and simulations: lives and dies with the process. */
export function createMemoryBlobs(): BlobStore {
  const blobs = new Map<Sha256, Uint8Array>();
  const partials = new Map<string, Uint8Array>();
  return {
    async put(bytes) {
      const hash = sha256(bytes);
      blobs.set(hash, bytes.slice());
      return { sha256: hash, sizeBytes: bytes.length };
    },
    sizeBytes: async (hash) => blobs.get(hash)?.length,
    async *read(hash) {
      const bytes = blobs.get(hash);
      if (bytes === undefined) throw new WeftError('WEFT_BLOB_MISSING', `there is no blob ${hash}`);
      for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.slice(at, at + pieceBytes);
    },
    async readRange(hash, from, to) {
      const bytes = blobs.get(hash);
      if (bytes === undefined) throw new WeftError('WEFT_BLOB_MISSING', `there is no blob ${hash}`);
      if (bytes.length < to) throw endsBefore(hash, bytes.length, to);
      return bytes.slice(from, to);
    },
    remove: async (hash) => void blobs.delete(hash),
    list: async () => [...blobs.keys()].sort(),
    openPartial: async (name) => createPartial(name, blobs, partials),
    partialBytes: async (name) => partials.get(name)?.length ?? 0,
    listPartials: async () => [...partials.keys()].sort(),
    removePartial: async (name) => void partials.delete(name),
  };
}

function createPartial(name: string, blobs: Map<Sha256, Uint8Array>, partials: Map<string, Uint8Array>): PartialBlob {
  const bytes = (): Uint8Array => partials.get(name) ?? new Uint8Array();
  partials.set(name, bytes());
  return {
    get sizeBytes() {
      return bytes().length;
    },
    async write(chunk) {
      partials.set(name, Buffer.concat([bytes(), chunk]));
    },
    async truncate(sizeBytes) {
      partials.set(name, bytes().slice(0, sizeBytes));
    },
    async seal(expected, inspect) {
      const whole = bytes();
      if (whole.length !== expected.sizeBytes) {
        throw new WeftError(
          'WEFT_TRANSFER_TRUNCATED',
          `${whole.length} bytes came, ${expected.sizeBytes} were announced`,
        );
      }
      try {
        for (let at = 0; at < whole.length; at += pieceBytes) inspect?.(whole.subarray(at, at + pieceBytes));
        const actual = sha256(whole);
        if (actual !== expected.sha256)
          throw new WeftError('WEFT_TRANSFER_HASH', `the bytes hash to ${actual}, ${expected.sha256} was announced`);
      } catch (error) {
        partials.delete(name);
        throw error;
      }
      blobs.set(expected.sha256, whole);
      partials.delete(name);
    },
    close: async () => {},
  };
}

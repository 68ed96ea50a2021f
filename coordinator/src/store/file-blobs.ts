import { createHash } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { isSha256, sha256, WeftError, type Sha256 } from '@weft/shared';
import { endsBefore, isPartialName, pieceBytes, type BlobStore, type PartialBlob } from './blob-store.ts';
import type { BlobInfo } from './events.ts';

export interface FileBlobStore extends BlobStore {
  /** Where the blob lies, or would. */
  path(sha256: Sha256): string;
}

/** `<folder>/<sha256>` for whole blobs, `<folder>/partial/<name>` for those that arrive. */
export async function openFileBlobs(folder: string): Promise<FileBlobStore> {
  const partialFolder = join(folder, 'partial');
  await mkdir(partialFolder, { recursive: true, mode: 0o700 });
  const path = (hash: Sha256): string => join(folder, hash);
  const partialPath = (name: string): string => {
    if (!isPartialName(name))
      throw new WeftError(
        'WEFT_INTERNAL',
        'the name of a partial blob holds other characters than letters, digits, _ and -',
      );
    return join(partialFolder, name);
  };
  let puts = 0;
  return {
    path,
    async put(bytes) {
      const info = { sha256: sha256(bytes), sizeBytes: bytes.length };
      if ((await fileSize(path(info.sha256))) === info.sizeBytes) return info;
      const temporary = partialPath(`put-${process.pid}-${puts++}`);
      try {
        const handle = await open(temporary, 'w', 0o600);
        try {
          await writeAll(handle, bytes, 0);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await moveDurably(temporary, path(info.sha256), folder);
      } catch (error) {
        await rm(temporary, { force: true });
        throw toWeftError(error);
      }
      return info;
    },
    sizeBytes: (hash) => fileSize(path(hash)),
    read: (hash) => readFilePieces(path(hash)),
    readRange: (hash, from, to) => readFileRange(hash, path(hash), from, to),
    remove: (hash) => rm(path(hash), { force: true }),
    list: async () => (await readdir(folder)).filter(isSha256).sort(),
    openPartial: (name) => openPartialFile(partialPath(name), path, folder),
    partialBytes: async (name) => (await fileSize(partialPath(name))) ?? 0,
    listPartials: async () => (await readdir(partialFolder)).sort(),
    removePartial: (name) => rm(partialPath(name), { force: true }),
  };
}

async function openPartialFile(file: string, pathOf: (hash: Sha256) => string, folder: string): Promise<PartialBlob> {
  // Not O_APPEND: a resumed upload may cut the file back first.
  const handle = await open(file, (await fileSize(file)) === undefined ? 'w+' : 'r+', 0o600);
  let size = (await handle.stat()).size;
  return {
    get sizeBytes() {
      return size;
    },
    async write(chunk) {
      try {
        await writeAll(handle, chunk, size);
      } catch (error) {
        throw toWeftError(error);
      }
      size += chunk.length;
    },
    async truncate(sizeBytes) {
      await handle.truncate(sizeBytes);
      size = Math.min(size, sizeBytes);
    },
    async seal(expected, inspect) {
      if (size !== expected.sizeBytes) {
        throw new WeftError('WEFT_TRANSFER_TRUNCATED', `${size} bytes came, ${expected.sizeBytes} were announced`);
      }
      try {
        await checkContent(file, expected, inspect);
      } catch (error) {
        await handle.close();
        await rm(file, { force: true });
        throw error;
      }
      try {
        await handle.sync();
        await handle.close();
        await moveDurably(file, pathOf(expected.sha256), folder);
      } catch (error) {
        throw toWeftError(error);
      }
    },
    close: () => handle.close(),
  };
}

async function checkContent(file: string, expected: BlobInfo, inspect?: (piece: Uint8Array) => void): Promise<void> {
  const hash = createHash('sha256');
  for await (const piece of readFilePieces(file)) {
    hash.update(piece);
    inspect?.(piece);
  }
  const actual = hash.digest('hex');
  if (actual !== expected.sha256)
    throw new WeftError('WEFT_TRANSFER_HASH', `the bytes hash to ${actual}, ${expected.sha256} was announced`);
}

const openBlob = (file: string): Promise<FileHandle> =>
  open(file, 'r').catch((cause: unknown) => {
    throw new WeftError('WEFT_BLOB_MISSING', `a blob cannot be opened (${errorCode(cause)})`, { file }, { cause });
  });

/** Pieces are full except the last, so that a ring word is never cut in two. */
async function* readFilePieces(file: string): AsyncGenerator<Uint8Array> {
  const handle = await openBlob(file);
  try {
    for (let position = 0; ;) {
      const piece = new Uint8Array(pieceBytes);
      let filled = 0;
      while (filled < piece.length) {
        const { bytesRead } = await handle.read(piece, filled, piece.length - filled, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      if (filled > 0) yield piece.subarray(0, filled);
      if (filled < piece.length) return;
      position += filled;
    }
  } finally {
    await handle.close();
  }
}

async function readFileRange(hash: Sha256, file: string, from: number, to: number): Promise<Uint8Array> {
  const handle = await openBlob(file);
  try {
    const bytes = new Uint8Array(to - from);
    for (let filled = 0; filled < bytes.length;) {
      const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, from + filled);
      if (bytesRead === 0) throw endsBefore(hash, from + filled, to);
      filled += bytesRead;
    }
    return bytes;
  } finally {
    await handle.close();
  }
}

/** After this neither the bytes nor the name are lost by a power cut. */
async function moveDurably(from: string, to: string, folder: string): Promise<void> {
  await rename(from, to);
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length)
    done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}

const fileSize = async (file: string): Promise<number | undefined> => {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
};

const errorCode = (error: unknown): string => (error as NodeJS.ErrnoException)?.code ?? 'unknown';

const toWeftError = (error: unknown): unknown =>
  ['ENOSPC', 'EDQUOT'].includes(errorCode(error))
    ? new WeftError('WEFT_DISK_FULL', 'the disk was full while a blob was written', {}, { cause: error })
    : error;

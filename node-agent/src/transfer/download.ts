import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat, statfs, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Metadata } from '@grpc/grpc-js';
import { callServerStream, NodeService } from '@weft/proto';
import { WeftError, type Sha256 } from '@weft/shared';
import type { Connection } from '../session/connection.ts';
import type { Session } from '../session/session.ts';
import { withSession } from './with-session.ts';

export interface DownloadOptions {
  readonly connection: Connection;
  readonly signal: AbortSignal;
  readonly onProgress?: (doneBytes: number) => void;
}

/** Left free on the disk, for everything else that runs there. */
const reserveBytes = 64 * 1024 * 1024;

/**
 * Fetches a blob to `path`, which exists afterwards whole and with the right hash, or not at all. What came before a
 * broken line or a stop of the agent lies in `path.part` and is not fetched again.
 * @throws WEFT_TRANSFER_HASH, WEFT_TRANSFER_TOO_LARGE, WEFT_DISK_FULL, WEFT_BLOB_NOT_OFFERED
 */
export async function downloadBlob(
  blob: { readonly sha256: Sha256; readonly sizeBytes: number },
  path: string,
  { connection, signal, onProgress = () => {} }: DownloadOptions,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const part = `${path}.part`;
  await requireSpace(dirname(path), blob.sizeBytes - (await sizeOf(part)));
  for (const isLast of [false, true]) {
    const file = await open(part, 'a+', 0o600);
    try {
      const received = await hashSoFar(part, file, blob.sizeBytes, signal);
      await withSession(connection, signal, (session, gained) =>
        receive(session, blob, file, received, signal, () => {
          gained();
          onProgress(received.sizeBytes);
        }),
      );
      if (received.hash.digest('hex') === blob.sha256) {
        await file.sync();
        await rename(part, path);
        return;
      }
    } finally {
      await file.close();
    }
    // an old part may have been damaged: once from the start
    await rm(part, { force: true });
    if (isLast)
      throw new WeftError(
        'WEFT_TRANSFER_HASH',
        `a blob of ${blob.sizeBytes} bytes does not have the hash that was offered`,
        { sha256: blob.sha256 },
      );
  }
}

interface Received {
  readonly hash: Hash;
  sizeBytes: number;
}

async function receive(
  session: Session,
  blob: { readonly sha256: Sha256; readonly sizeBytes: number },
  file: FileHandle,
  received: Received,
  signal: AbortSignal,
  onBytes: () => void,
): Promise<void> {
  if (received.sizeBytes === blob.sizeBytes) return;
  const call = callServerStream(session.client, new Metadata(), NodeService.method.download, {
    ticket: session.ticket,
    sha256: blob.sha256,
    offset: BigInt(received.sizeBytes),
  });
  const cancel = (): void => call.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    for await (const { offset, totalBytes, data } of call) {
      if (totalBytes !== BigInt(blob.sizeBytes) || received.sizeBytes + data.length > blob.sizeBytes) {
        throw new WeftError(
          'WEFT_TRANSFER_TOO_LARGE',
          `the blob has ${totalBytes} bytes where ${blob.sizeBytes} were offered`,
        );
      }
      if (offset !== BigInt(received.sizeBytes)) {
        throw new WeftError(
          'WEFT_TRANSFER_OFFSET',
          `bytes from ${offset} came where those from ${received.sizeBytes} were due`,
        );
      }
      await file.appendFile(data);
      received.hash.update(data);
      received.sizeBytes += data.length;
      onBytes();
    }
  } finally {
    signal.removeEventListener('abort', cancel);
    call.cancel();
  }
  if (received.sizeBytes < blob.sizeBytes) {
    throw new WeftError('WEFT_TRANSFER_TRUNCATED', `${received.sizeBytes} of ${blob.sizeBytes} bytes came`);
  }
}

async function hashSoFar(part: string, file: FileHandle, limitBytes: number, signal: AbortSignal): Promise<Received> {
  const { size } = await file.stat();
  if (size > limitBytes) await file.truncate(0);
  const received = { hash: createHash('sha256'), sizeBytes: size > limitBytes ? 0 : size };
  if (received.sizeBytes === 0) return received;
  for await (const chunk of createReadStream(part, { highWaterMark: 1 << 20, signal }))
    received.hash.update(chunk as Buffer);
  return received;
}

/** @throws WEFT_DISK_FULL before the disk is */
async function requireSpace(folder: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  if (neededBytes > 0 && freeBytes < neededBytes + reserveBytes) {
    throw new WeftError(
      'WEFT_DISK_FULL',
      `${neededBytes} bytes are to be fetched, ${freeBytes} are free and ${reserveBytes} stay free`,
      { neededBytes, freeBytes },
    );
  }
}

const sizeOf = async (path: string): Promise<number> => (await stat(path).catch(() => undefined))?.size ?? 0;

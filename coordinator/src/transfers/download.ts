import { open } from 'node:fs/promises';
import { create } from '@bufbuild/protobuf';
import type { ServerWritableStream } from '@grpc/grpc-js';
import { DownloadResponseSchema, type DownloadRequest, type DownloadResponse } from '@weft/proto';
import { WeftError, isSha256 } from '@weft/shared';
import type { RunInbox } from '../federation/ports.ts';
import type { NetworkLimits } from '../sessions/limits.ts';
import { toOffset, type OpenTransfer } from './transfer-call.ts';

export type DownloadCall = ServerWritableStream<DownloadRequest, DownloadResponse>;

/** A blob that this node was offered, from an offset; one piece in memory, the next when the last has left. */
export async function serveDownload(
  call: DownloadCall,
  inbox: RunInbox,
  openTransfer: OpenTransfer,
  limits: NetworkLimits,
): Promise<void> {
  const { ticket, sha256, offset } = call.request;
  await openTransfer(call, ticket, async ({ holder: { nodeId }, step }) => {
    const blob = isSha256(sha256) ? await inbox.offeredBlob(nodeId, sha256) : undefined;
    if (blob === undefined)
      throw new WeftError('WEFT_BLOB_NOT_OFFERED', 'no round that is open offered this blob to this node');
    const start = toOffset(offset, blob.sizeBytes);
    const file = await open(blob.path, 'r');
    let sent = start;
    try {
      do {
        const length = Math.min(limits.chunkBytes, blob.sizeBytes - sent);
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, sent);
        if (bytesRead !== length)
          throw new WeftError(
            'WEFT_INTERNAL',
            `an offered file ends at ${sent + bytesRead}, it had ${blob.sizeBytes} bytes`,
          );
        await step(write(call, { offset: sent, totalBytes: blob.sizeBytes, data: buffer }));
        sent += length;
      } while (sent < blob.sizeBytes);
    } finally {
      inbox.countDownload(nodeId, sent - start);
      await file.close();
    }
  });
  // Last: who hears the end may open the next transfer at once, and this one no longer counts.
  call.end();
}

const write = (call: DownloadCall, piece: { offset: number; totalBytes: number; data: Uint8Array }): Promise<void> =>
  new Promise<void>((resolve, reject) => {
    const response = create(DownloadResponseSchema, {
      offset: BigInt(piece.offset),
      totalBytes: BigInt(piece.totalBytes),
      data: piece.data,
    });
    call.write(response, (error: Error | null | undefined) => (error ? reject(error) : resolve()));
  });

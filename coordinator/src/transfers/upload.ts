import { create } from '@bufbuild/protobuf';
import type { ServerReadableStream } from '@grpc/grpc-js';
import {
  UploadResponseSchema,
  UploadStatusResponseSchema,
  type UploadRequest,
  type UploadResponse,
  type UploadStatusRequest,
  type UploadStatusResponse,
} from '@weft/proto';
import { WeftError } from '@weft/shared';
import type { RunInbox, UploadSink } from '../federation/ports.ts';
import { createMessageReader } from '../grpc/message-reader.ts';
import type { NetworkLimits } from '../sessions/limits.ts';
import type { Tickets } from '../sessions/tickets.ts';
import { toOffset, type OpenTransfer } from './transfer-call.ts';

export type UploadCall = ServerReadableStream<UploadRequest, UploadResponse>;

/** One update, piece by piece into the runs' sink; the receipt leaves once the runs have made it durable. */
export async function serveUpload(
  call: UploadCall,
  inbox: RunInbox,
  openTransfer: OpenTransfer,
  limits: NetworkLimits,
): Promise<UploadResponse> {
  const requests = createMessageReader<UploadRequest>(call);
  const first = await within(requests.next(), limits.handshakeMs);
  if (first?.kind.case !== 'header') {
    throw new WeftError('WEFT_MESSAGE_MALFORMED', 'an upload begins with its header');
  }
  const { ticket, update, offset } = first.kind.value;
  return openTransfer(call, ticket, async ({ holder: { nodeId }, step }) => {
    if (update === undefined) throw new WeftError('WEFT_MESSAGE_MALFORMED', 'an upload header came without its update');
    const sink = await inbox.openUpload(nodeId, update, toOffset(offset));
    let finished = false;
    try {
      for (let piece = await step(requests.next()); piece !== undefined; piece = await step(requests.next())) {
        await takePiece(piece, sink, limits);
      }
      // A stream that was reset looks as if it had ended: only the sink knows whether all bytes are there. It keeps what
      // came where they are not, so from here on there is nothing to suspend.
      finished = true;
      return create(UploadResponseSchema, { receipt: await sink.finish() });
    } finally {
      if (!finished) await sink.suspend();
    }
  });
}

/** How far an update came, for a node that goes on after a break. */
export async function serveUploadStatus(
  request: UploadStatusRequest,
  inbox: RunInbox,
  tickets: Tickets,
): Promise<UploadStatusResponse> {
  const { nodeId } = tickets.redeem(request.ticket);
  const { runId, round, payloadSha256 } = request;
  const { receivedBytes, receipt } = await inbox.uploadStatus(nodeId, { runId, round, payloadSha256 });
  return create(UploadStatusResponseSchema, { receivedBytes: BigInt(receivedBytes), ...(receipt && { receipt }) });
}

async function takePiece({ kind }: UploadRequest, sink: UploadSink, limits: NetworkLimits): Promise<void> {
  if (kind.case !== 'data')
    throw new WeftError('WEFT_MESSAGE_MALFORMED', 'after its header an upload is pieces of data');
  if (kind.value.length > limits.chunkBytes) {
    throw new WeftError(
      'WEFT_MESSAGE_TOO_LARGE',
      `a piece has ${kind.value.length} bytes, the limit is ${limits.chunkBytes}`,
    );
  }
  await sink.write(kind.value);
}

/** Nobody has shown a ticket yet. */
async function within<T>(work: Promise<T>, limitMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new WeftError('WEFT_SESSION_IDLE', `no upload header came within ${limitMs} ms`)),
      limitMs,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

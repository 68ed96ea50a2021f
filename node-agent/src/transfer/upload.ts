import { open, type FileHandle } from 'node:fs/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { Metadata, type ClientWritableStream } from '@grpc/grpc-js';
import {
  callClientStream,
  callUnary,
  NodeService,
  ReceiptSchema,
  UpdateSchema,
  type Envelope,
  type Receipt,
  type Update,
  type UploadRequest,
  type UploadResponse,
} from '@weft/proto';
import { domains, openEnvelope, sha256, WeftError } from '@weft/shared';
import type { Federation } from '../home/federation-file.ts';
import type { Connection } from '../session/connection.ts';
import type { Session } from '../session/session.ts';
import { withSession } from './with-session.ts';

const chunkBytes = 1 << 20;
const statusTimeoutMs = 60_000;

export interface UploadOptions {
  readonly connection: Connection;
  readonly federation: Federation;
  readonly signal: AbortSignal;
  readonly onProgress?: (doneBytes: number) => void;
}

/**
 * Sends an update's bytes from where the coordinator has them, and again from there after a broken line, until a
 * receipt comes that names this very update.
 * @param update body Update, signed once and sent each time as it is
 * @throws WEFT_NODE_RECEIPT_INVALID, and what the coordinator refuses it with
 */
export async function uploadUpdate(
  update: Envelope,
  payloadPath: string,
  { connection, federation, signal, onProgress = () => {} }: UploadOptions,
): Promise<Receipt> {
  const body = fromBinary(UpdateSchema, update.body);
  const payload = await open(payloadPath, 'r');
  try {
    let known = 0;
    const receipt = await withSession(connection, signal, async (session, gained) => {
      const status = await askStatus(session, body);
      if (status.receipt !== undefined) return status.receipt;
      const offset = Number(status.receivedBytes);
      if (offset > known) gained();
      known = offset;
      onProgress(offset);
      return send(session, update, body, payload, offset, signal, onProgress);
    });
    return checkReceipt(receipt, update, body, federation);
  } finally {
    await payload.close();
  }
}

const askStatus = (session: Session, { runId, round, payloadSha256 }: Update) =>
  callUnary(
    session.client,
    new Metadata(),
    NodeService.method.uploadStatus,
    { ticket: session.ticket, runId, round, payloadSha256 },
    { deadline: Date.now() + statusTimeoutMs },
  );

async function send(
  session: Session,
  update: Envelope,
  { payloadBytes }: Update,
  payload: FileHandle,
  offset: number,
  signal: AbortSignal,
  onSent: (doneBytes: number) => void,
): Promise<Envelope | undefined> {
  const answered = Promise.withResolvers<UploadResponse | undefined>();
  const call = callClientStream(session.client, new Metadata(), NodeService.method.upload, (error, response) =>
    error ? answered.reject(error) : answered.resolve(response),
  );
  // a refusal in the middle ends the writing below; it is thrown there
  answered.promise.catch(() => {});
  const cancel = (): void => call.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    await write(
      call,
      {
        case: 'header',
        value: { $typeName: 'weft.v1.UploadHeader', ticket: session.ticket, update, offset: BigInt(offset) },
      },
      answered.promise,
    );
    for (let at = offset; at < Number(payloadBytes);) {
      const { bytesRead, buffer } = await payload.read(Buffer.alloc(chunkBytes), 0, chunkBytes, at);
      if (bytesRead === 0)
        throw new WeftError(
          'WEFT_TRANSFER_TRUNCATED',
          `the kept update has ${at} bytes, ${payloadBytes} are to be sent`,
        );
      await write(call, { case: 'data', value: buffer.subarray(0, bytesRead) }, answered.promise);
      at += bytesRead;
      onSent(at);
    }
    call.end();
    return (await answered.promise)?.receipt;
  } catch (error) {
    call.cancel();
    throw error;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/** Waits for room in the line, or for the answer that makes writing pointless. */
async function write(
  call: ClientWritableStream<UploadRequest>,
  kind: UploadRequest['kind'],
  answered: Promise<unknown>,
): Promise<void> {
  if (call.write({ $typeName: 'weft.v1.UploadRequest', kind })) return;
  const drained = Promise.withResolvers<void>();
  call.once('drain', drained.resolve);
  try {
    await Promise.race([drained.promise, answered]);
  } finally {
    call.removeListener('drain', drained.resolve);
  }
}

function checkReceipt(envelope: Envelope | undefined, update: Envelope, body: Update, federation: Federation): Receipt {
  const receipt = openEnvelope(domains.receipt, ReceiptSchema, envelope, federation.coordinatorKey);
  const due = {
    federationId: federation.federationId,
    runId: body.runId,
    round: body.round,
    nodeId: body.nodeId,
    updateSha256: sha256(update.body),
    payloadSha256: body.payloadSha256,
  };
  const wrong = (Object.keys(due) as (keyof typeof due)[]).filter((field) => receipt[field] !== due[field]);
  if (wrong.length > 0) {
    throw new WeftError('WEFT_NODE_RECEIPT_INVALID', `the receipt is for another update: ${wrong.join(', ')} differ`, {
      fields: wrong.join(','),
    });
  }
  return receipt;
}

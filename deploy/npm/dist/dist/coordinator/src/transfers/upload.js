import { create } from '@bufbuild/protobuf';
                                                          
import {
  UploadResponseSchema,
  UploadStatusResponseSchema,
                     
                      
                           
                            
} from '../../../proto/src/index.js';
import { WeftError } from '../../../shared/src/index.js';
                                                                   
                                                           
                                                      
import { toOffset,                   } from './transfer-call.js';

                                                                             

/** One update, piece by piece into the runs' sink; the receipt leaves once the runs have made it durable. */
export async function serveUpload(
  call            ,
  inbox          ,
  openTransfer              ,
  limits               ,
)                          {
  // destroyOnReturn would take the stream away before its status has left.
  const requests = call.iterator({ destroyOnReturn: false })                                        ;
  const first = await within(requests.next(), limits.handshakeMs);
  if (first.done === true || first.value.kind.case !== 'header') {
    throw new WeftError('WEFT_MESSAGE_MALFORMED', 'an upload begins with its header');
  }
  const { ticket, update, offset } = first.value.kind.value;
  return openTransfer(call, ticket, async ({ holder: { nodeId }, step }) => {
    if (update === undefined) throw new WeftError('WEFT_MESSAGE_MALFORMED', 'an upload header came without its update');
    const sink = await inbox.openUpload(nodeId, update, toOffset(offset));
    let finished = false;
    try {
      for (let next = await step(requests.next()); next.done !== true; next = await step(requests.next())) {
        await takePiece(next.value, sink, limits);
      }
      finished = true;
      return create(UploadResponseSchema, { receipt: await sink.finish() });
    } finally {
      if (!finished) await sink.suspend();
    }
  });
}

/** How far an update came, for a node that goes on after a break. */
export async function serveUploadStatus(request                     , inbox          , tickets         )                                {
  const { nodeId } = tickets.redeem(request.ticket);
  const { runId, round, payloadSha256 } = request;
  const { receivedBytes, receipt } = await inbox.uploadStatus(nodeId, { runId, round, payloadSha256 });
  return create(UploadStatusResponseSchema, { receivedBytes: BigInt(receivedBytes), ...(receipt && { receipt }) });
}

async function takePiece({ kind }               , sink            , limits               )                {
  if (kind.case !== 'data') throw new WeftError('WEFT_MESSAGE_MALFORMED', 'after its header an upload is pieces of data');
  if (kind.value.length > limits.chunkBytes) {
    throw new WeftError('WEFT_MESSAGE_TOO_LARGE', `a piece has ${kind.value.length} bytes, the limit is ${limits.chunkBytes}`);
  }
  await sink.write(kind.value);
}

/** Nobody has shown a ticket yet. */
async function within   (work            , limitMs        )             {
  let timer                            ;
  const late = new Promise       ((_resolve, reject) => {
    timer = setTimeout(() => reject(new WeftError('WEFT_SESSION_IDLE', `no upload header came within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

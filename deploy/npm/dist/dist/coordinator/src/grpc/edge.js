import { Metadata,                          } from '@grpc/grpc-js';
import { toGrpcFailure, toWeftError,             } from '../../../shared/src/index.js';
                                   

/**
 * The one translation from errors to what a gRPC call ends with. A refusal is part of the day's work; a fault of ours
 * goes to the log with its cause, and to the other side without it.
 */
export function toServiceError(error         , logger        , method        , nodeId         )                      {
  const weftError = toWeftError(error);
  const fields = { method, code: weftError.code, ...(nodeId && { nodeId }) };
  if (weftError.code === 'WEFT_INTERNAL') logger.error({ ...fields, err: weftError.cause ?? weftError }, 'call failed');
  else logger.info({ ...fields, details: weftError.details }, 'call refused');
  const { code, details, trailers } = toGrpcFailure(weftError);
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(trailers)) metadata.set(key, value);
  return Object.assign(new Error(details), { code, details, metadata });
}

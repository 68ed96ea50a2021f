import { status, type ServiceError } from '@grpc/grpc-js';
import { fromGrpcStatus, isWeftError, toWeftError, WeftError } from '@weft/shared';

/** What grpc-js says when TLS refused; the wording is OpenSSL's and ours. */
const certificateTrouble = /certificate|CERT_|self.signed/i;

/** The one translation of what a gRPC call may throw into an error of the catalogue. */
export function fromServiceError(error: unknown, address: string): WeftError {
  if (isWeftError(error) || !isServiceError(error)) return toWeftError(error);
  const refused = fromGrpcStatus(error);
  if (refused !== undefined) return refused;
  if (error.code === status.CANCELLED)
    return new WeftError('WEFT_NODE_LEAVING', 'the call was cancelled', {}, { cause: error });
  if (error.code === status.UNAVAILABLE && certificateTrouble.test(error.details)) {
    return new WeftError(
      'WEFT_COORDINATOR_CERTIFICATE',
      `what answers at ${address} does not show the pinned certificate`,
      { address },
      { cause: error },
    );
  }
  const name = status[error.code] ?? String(error.code);
  return new WeftError(
    'WEFT_COORDINATOR_UNREACHABLE',
    `no coordinator answers at ${address} (${name})`,
    { address, status: name },
    { cause: error },
  );
}

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error &&
  'code' in error &&
  typeof error.code === 'number' &&
  'details' in error &&
  typeof error.details === 'string' &&
  'metadata' in error;

import type { ErrorCode } from './catalogue.ts';
import { WeftError, isWeftError } from './weft-error.ts';

/** Errors of the operating system that have a row of their own in the catalogue. */
const systemCodes: Readonly<Record<string, ErrorCode>> = {
  EADDRINUSE: 'WEFT_PORT_IN_USE',
  ENOSPC: 'WEFT_DISK_FULL',
  EDQUOT: 'WEFT_DISK_FULL',
  SQLITE_FULL: 'WEFT_DISK_FULL',
};

/**
 * What an edge says of any exception. A fault without a row becomes WEFT_INTERNAL, whose message repeats nothing of it:
 * the cause stays here, for the log.
 */
export function toWeftError(error: unknown): WeftError {
  if (isWeftError(error)) return error;
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' ? systemCodes[error.code] : undefined;
  if (code !== undefined) return new WeftError(code, (error as Error).message, {}, { cause: error });
  return new WeftError('WEFT_INTERNAL', 'a fault of Weft', {}, { cause: error });
}

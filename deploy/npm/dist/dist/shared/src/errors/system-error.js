                                                
import { WeftError, isWeftError } from './weft-error.js';

/** Errors of the operating system that have a row of their own in the catalogue. */
const systemCodes                                      = {
  EADDRINUSE: 'WEFT_PORT_IN_USE',
  ENOSPC: 'WEFT_DISK_FULL',
  EDQUOT: 'WEFT_DISK_FULL',
  SQLITE_FULL: 'WEFT_DISK_FULL',
};

/**
 * What an edge says of any exception. A fault without a row becomes WEFT_INTERNAL, whose message repeats nothing of it:
 * the cause stays here, for the log.
 */
export function toWeftError(error         )            {
  if (isWeftError(error)) return error;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? systemCodes[error.code] : undefined;
  if (code !== undefined) return new WeftError(code, (error         ).message, {}, { cause: error });
  return new WeftError('WEFT_INTERNAL', 'a fault of Weft', {}, { cause: error });
}

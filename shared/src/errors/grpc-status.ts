import { catalogue, type ErrorCode } from './catalogue.ts';
import type { GrpcStatusName } from './entry.ts';
import { toWeftError } from './system-error.ts';
import { WeftError } from './weft-error.ts';

/** https://github.com/grpc/grpc/blob/master/doc/statuscodes.md */
const statusNumbers: Readonly<Record<GrpcStatusName, number>> = {
  INVALID_ARGUMENT: 3,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
};

const codeKey = 'weft-code';
const todoKey = 'weft-todo';
/** The other side's words are shown to a person: a page of them is no message. */
const maxMessageCharacters = 2000;

/** How an error ends a call: the status, its message, and what goes into the trailing metadata. */
export interface GrpcFailure {
  readonly code: number;
  readonly details: string;
  readonly trailers: Readonly<Record<string, string>>;
}

/** What grpc-js rejects a call with, as far as it is read here. */
export interface GrpcStatusLike {
  readonly code: number;
  readonly details: string;
  readonly metadata: { get(key: string): readonly (string | Uint8Array)[] };
}

/** The one translation from errors to gRPC, for the edge of a server. */
export function toGrpcFailure(error: unknown): GrpcFailure {
  const { code, message, todo } = toWeftError(error);
  return {
    code: statusNumbers[catalogue[code].grpc],
    details: message,
    trailers: { [codeKey]: code, [todoKey]: asciiOnly(todo) },
  };
}

/** The other side's error, or undefined where the failure is not one of Weft's (no connection, a broken TLS handshake). */
export function fromGrpcStatus(status: GrpcStatusLike): WeftError | undefined {
  const code = status.metadata.get(codeKey)[0];
  if (typeof code !== 'string' || !isErrorCode(code)) return undefined;
  return new WeftError(code, printable(status.details), {}, { cause: status });
}

/** The error that a signed Refusal names; a code that this version does not know becomes WEFT_INTERNAL. */
export const fromRefusal = (refusal: { readonly code: string; readonly message: string }): WeftError =>
  new WeftError(isErrorCode(refusal.code) ? refusal.code : 'WEFT_INTERNAL', printable(refusal.message));

const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(catalogue, text);

/** Control characters of the other side must not reach a terminal or a log line. */
const printable = (text: string): string =>
  text
    .slice(0, maxMessageCharacters)
    .replace(/[\p{Cc}\p{Cf}]/gu, (character) => (character === '\n' ? character : ' '));

/** Metadata values are ASCII. */
const asciiOnly = (text: string): string => text.replace(/[^\u0020-\u007e]/g, '?');

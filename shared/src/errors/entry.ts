/** Names of gRPC status codes that the catalogue uses. */
export type GrpcStatusName =
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'UNAUTHENTICATED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS';

/**
 * Exit codes of the command line: 1 a fault of ours, 2 wrong usage or configuration, 3 bad input data,
 * 4 refused by the other side, 5 not reachable, 6 the machine lacks something (disk, memory, port, runtime).
 */
export type ExitCode = 1 | 2 | 3 | 4 | 5 | 6;

export interface ErrorEntry {
  readonly grpc: GrpcStatusName;
  readonly http: number;
  readonly exit: ExitCode;
  /** What to do, one sentence in the imperative. */
  readonly todo: string;
  /** Whether the same call may succeed later without a change. */
  readonly retry: boolean;
}

/** Keeps the literal codes as keys and checks each row. */
export const defineErrors = <const T extends Record<`WEFT_${string}`, ErrorEntry>>(entries: T): T => entries;

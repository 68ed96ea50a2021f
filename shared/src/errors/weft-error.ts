import { catalogue, type ErrorCode } from './catalogue.ts';

/** The one error class. What it means to gRPC, HTTP and a shell stands in the catalogue. */
export class WeftError extends Error {
  readonly code: ErrorCode;
  /** Numbers and names that belong to the message, safe to log: never a text, a tensor or a key. */
  readonly details: Readonly<Record<string, string | number | boolean>>;

  /**
   * @param what what happened, with both numbers where there are two; the catalogue adds what to do
   */
  constructor(
    code: ErrorCode,
    what: string,
    details: Readonly<Record<string, string | number | boolean>> = {},
    options?: { cause?: unknown },
  ) {
    super(what, options);
    this.name = 'WeftError';
    this.code = code;
    this.details = details;
  }

  /** What to do about it, from the catalogue. */
  get todo(): string {
    return catalogue[this.code].todo;
  }

  get retryable(): boolean {
    return catalogue[this.code].retry;
  }
}

export const isWeftError = (error: unknown, code?: ErrorCode): error is WeftError =>
  error instanceof WeftError && (code === undefined || error.code === code);

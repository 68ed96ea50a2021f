import { catalogue,                } from './catalogue.js';

/** The one error class. What it means to gRPC, HTTP and a shell stands in the catalogue. */
export class WeftError extends Error {
           code           ;
  /** Numbers and names that belong to the message, safe to log: never a text, a tensor or a key. */
           details                                                     ;

  /**
   * @param what what happened, with both numbers where there are two; the catalogue adds what to do
   */
  constructor(
    code           ,
    what        ,
    details                                                      = {},
    options                      ,
  ) {
    super(what, options);
    this.name = 'WeftError';
    this.code = code;
    this.details = details;
  }

  /** What to do about it, from the catalogue. */
  get todo()         {
    return catalogue[this.code].todo;
  }

  get retryable()          {
    return catalogue[this.code].retry;
  }
}

export const isWeftError = (error         , code            )                     =>
  error instanceof WeftError && (code === undefined || error.code === code);

import { defineErrors } from './entry.ts';

/** The transparency log. */
export const logErrors = defineErrors({
  WEFT_LOG_MALFORMED: {
    grpc: 'DATA_LOSS',
    http: 422,
    exit: 3,
    todo: 'name a log that a coordinator of Weft wrote: its address with /log, or the folder log of its home',
    retry: false,
  },
});

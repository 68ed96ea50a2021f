import { defineErrors } from './entry.ts';

/** The transparency log, and the signed statement that goes with an export. */
export const logErrors = defineErrors({
  WEFT_LOG_MALFORMED: {
    grpc: 'DATA_LOSS',
    http: 422,
    exit: 3,
    todo: 'name a log that a coordinator of Weft wrote: its address with /log, or the folder log of its home',
    retry: false,
  },
  WEFT_LOG_REFUTED: {
    grpc: 'DATA_LOSS',
    http: 409,
    exit: 3,
    todo: 'keep a copy of the log as it is now, and ask the party that is named about the entry that is named',
    retry: false,
  },
  WEFT_LOG_CONFLICT: {
    grpc: 'DATA_LOSS',
    http: 500,
    exit: 6,
    todo: 'restore the newest backup of the home, weft.db and log together: an older one cannot go on without a second history',
    retry: false,
  },
  WEFT_LOG_DISTRUSTED: {
    grpc: 'PERMISSION_DENIED',
    http: 403,
    exit: 4,
    todo: 'read `weft node evidence`, show the file that it names to the other members, and dismiss it there once it is explained',
    retry: false,
  },
  WEFT_LOG_UNREACHABLE: {
    grpc: 'UNAVAILABLE',
    http: 503,
    exit: 5,
    todo: 'check the address, and that the coordinator runs and is reached from here; a copy of the folder log of its home does as well',
    retry: true,
  },
  WEFT_LOG_NOT_FOUND: {
    grpc: 'NOT_FOUND',
    http: 404,
    exit: 3,
    todo: "name the coordinator's address, or the folder log of its home or a copy of that; the newest checkpoint says which parts there are",
    retry: false,
  },
  WEFT_STATEMENT_MALFORMED: {
    grpc: 'DATA_LOSS',
    http: 422,
    exit: 3,
    todo: 'name a signature in the layout of OpenSSF model signing, over whole files and with SHA-256',
    retry: false,
  },
  WEFT_STATEMENT_MISSING: {
    grpc: 'NOT_FOUND',
    http: 404,
    exit: 3,
    todo: 'name the signature with --signature, or ask whoever handed the model out for it',
    retry: false,
  },
  WEFT_STATEMENT_REFUTED: {
    grpc: 'DATA_LOSS',
    http: 409,
    exit: 3,
    todo: 'do not use these files; get them again from where they came',
    retry: false,
  },
});

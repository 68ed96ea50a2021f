import { defineErrors } from './entry.ts';

/** Faults of the process and its surroundings. */
export const generalErrors = defineErrors({
  WEFT_INTERNAL: {
    grpc: 'INTERNAL',
    http: 500,
    exit: 1,
    todo: 'report this with the log lines around it',
    retry: false,
  },
  WEFT_USAGE: { grpc: 'INVALID_ARGUMENT', http: 400, exit: 2, todo: 'see --help', retry: false },
  WEFT_CONFIG_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: 2,
    todo: 'correct every value that is listed',
    retry: false,
  },
  WEFT_HOME_LOCKED: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: 6,
    todo: 'stop the process that holds it, or name another --home',
    retry: true,
  },
  WEFT_DISK_FULL: {
    grpc: 'RESOURCE_EXHAUSTED',
    http: 507,
    exit: 6,
    todo: 'free disk space; what was acknowledged is kept',
    retry: true,
  },
  WEFT_PORT_IN_USE: {
    grpc: 'UNAVAILABLE',
    http: 503,
    exit: 6,
    todo: 'name another port, or 0 for any free one',
    retry: false,
  },
  WEFT_RUNTIME_UNSUPPORTED: {
    grpc: 'FAILED_PRECONDITION',
    http: 500,
    exit: 6,
    todo: 'use Node 24, which `npx -y pnpm@12.21.0 install` brings',
    retry: false,
  },
  WEFT_PATH_UNUSABLE: {
    grpc: 'FAILED_PRECONDITION',
    http: 500,
    exit: 6,
    todo: 'check that the path is there and that you may read or write it',
    retry: false,
  },
  WEFT_FLAG_DISAGREES: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: 2,
    todo: 'leave the flag out: what was named decides',
    retry: false,
  },
  WEFT_DEMO_RUN_FAILED: {
    grpc: 'INTERNAL',
    http: 500,
    exit: 1,
    todo: 'read the lines of the process above; `--keep DIR` keeps everything that the demo wrote',
    retry: false,
  },
});

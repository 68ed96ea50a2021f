import { defineErrors } from './entry.ts';

/** Store, runs, rounds and the admin API. */
export const coordinatorErrors = defineErrors({
  WEFT_STORE_CORRUPT: { grpc: 'DATA_LOSS', http: 500, exit: 6, todo: 'restore weft.db from a backup; move the damaged file aside, it may still be readable with sqlite3 .recover', retry: false },
  WEFT_STORE_VERSION: { grpc: 'FAILED_PRECONDITION', http: 500, exit: 6, todo: 'start the newer version of Weft that wrote this home', retry: false },
  WEFT_BLOB_MISSING: { grpc: 'DATA_LOSS', http: 500, exit: 6, todo: 'restore the blobs folder of the home from a backup', retry: false },
  WEFT_SPEC_INVALID: { grpc: 'INVALID_ARGUMENT', http: 422, exit: 2, todo: 'correct every line that is listed', retry: false },
  WEFT_MODEL_NOT_REGISTERED: { grpc: 'FAILED_PRECONDITION', http: 409, exit: 2, todo: 'give the base model once, with `weft run create SPEC --model PATH`', retry: false },
  WEFT_UPDATE_WRONG_FACTOR: { grpc: 'FAILED_PRECONDITION', http: 409, exit: 4, todo: 'send the factor that the round offer names', retry: false },
  WEFT_UPDATE_WRONG_WEIGHT: { grpc: 'INVALID_ARGUMENT', http: 422, exit: 4, todo: 'send a weight from 1 to aggregation.weightCap, the same in the update and in its last ring word', retry: false },
  WEFT_RUN_UNKNOWN: { grpc: 'NOT_FOUND', http: 404, exit: 2, todo: 'see `weft run list`', retry: false },
  WEFT_RUN_STATE: { grpc: 'FAILED_PRECONDITION', http: 409, exit: 2, todo: 'see `weft run show RUN` for what the run is doing', retry: false },
  WEFT_RUN_NOT_FINISHED: { grpc: 'FAILED_PRECONDITION', http: 409, exit: 4, todo: 'see `weft run show RUN` for what each round brought', retry: false },
  WEFT_ROUND_TOO_FEW_READY: { grpc: 'ABORTED', http: 409, exit: 4, todo: 'nothing; the next round starts by itself', retry: true },
  WEFT_COORDINATOR_STOPPING: { grpc: 'UNAVAILABLE', http: 503, exit: 5, todo: 'nothing; nodes connect again by themselves when it is back', retry: true },
  WEFT_COORDINATOR_HOME: { grpc: 'FAILED_PRECONDITION', http: 409, exit: 2, todo: 'run `weft coordinator init` with this --home, or name the home that it made', retry: false },
  WEFT_COORDINATOR_HOME_EXPOSED: { grpc: 'FAILED_PRECONDITION', http: 500, exit: 6, todo: 'take away the rights of others (chmod 600); if someone may have read it, begin with a new home', retry: false },
  WEFT_COORDINATOR_HOME_EXISTS: { grpc: 'ALREADY_EXISTS', http: 409, exit: 2, todo: 'start it with `weft coordinator start`, or name another --home', retry: false },
  WEFT_ADMIN_UNAUTHENTICATED: { grpc: 'UNAUTHENTICATED', http: 401, exit: 4, todo: 'log in with the password that `weft coordinator init` printed', retry: false },
  WEFT_ADMIN_RATE_LIMITED: { grpc: 'RESOURCE_EXHAUSTED', http: 429, exit: 4, todo: 'wait a minute', retry: true },
  WEFT_ADMIN_ORIGIN: { grpc: 'PERMISSION_DENIED', http: 403, exit: 4, todo: 'open the page at the address that `weft coordinator start` printed', retry: false },
  WEFT_ADMIN_NOT_FOUND: { grpc: 'NOT_FOUND', http: 404, exit: 4, todo: 'use the same version of Weft for the command and the coordinator', retry: false },
  WEFT_ADMIN_UNREACHABLE: { grpc: 'UNAVAILABLE', http: 503, exit: 5, todo: 'start it with `weft coordinator start`, or name its --home', retry: true },
});

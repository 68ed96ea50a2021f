import { defineErrors } from './entry.js';

export const adapterErrors = defineErrors({
  WEFT_ADAPTER_FLAG_DISAGREES: { grpc: 'INVALID_ARGUMENT', http: 400, exit: 2, todo: 'leave the flag out, or start without --init-adapter', retry: false },
});

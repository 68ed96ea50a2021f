import { defineErrors } from './entry.ts';

/** Faults of secure aggregation. */
export const secaggErrors = defineErrors({
  WEFT_SECAGG_MALFORMED: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: 4,
    todo: 'use the same version of Weft on both sides',
    retry: false,
  },
});

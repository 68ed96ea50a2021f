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
  WEFT_ENDORSEMENT_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: 2,
    todo: "ask your organisation for an endorsement of this node's key (`weft node key`) in this federation",
    retry: false,
  },
  WEFT_SECAGG_ABORTED: {
    grpc: 'ABORTED',
    http: 409,
    exit: 4,
    todo: 'nothing to do at once: the next round starts by itself, without the nodes that are to blame',
    retry: true,
  },
  WEFT_SUM_REFUSED: {
    grpc: 'ABORTED',
    http: 409,
    exit: 4,
    todo: 'the next round starts by itself; a member sent what no honest one could, and single updates are hidden: if it comes again, look at who was in each of these rounds and revoke',
    retry: true,
  },
  WEFT_SHARDS_TOO_FEW: {
    grpc: 'ABORTED',
    http: 409,
    exit: 4,
    todo: 'the next round starts by itself; if it comes again, look at who dropped or whose shard was refused, and ask for a larger cohort.minimum or for aggregation.secure.shardRule: mean',
    retry: true,
  },
  WEFT_SECAGG_REFUSED: {
    grpc: 'PERMISSION_DENIED',
    http: 403,
    exit: 4,
    todo: "ask the federation's admin: this node sends nothing in a round whose messages do not hold together",
    retry: false,
  },
});

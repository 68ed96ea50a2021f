import { defineErrors } from './entry.ts';

/** The node agent: its home, its pins, and what it declines to do. */
export const nodeErrors = defineErrors({
  WEFT_NODE_NOT_JOINED: { grpc: 'FAILED_PRECONDITION', http: 400, exit: 2, todo: 'enrol first with `weft node join INVITE`, with the same --home', retry: false },
  WEFT_NODE_ALREADY_JOINED: { grpc: 'ALREADY_EXISTS', http: 409, exit: 2, todo: 'name another --home: a home belongs to one federation', retry: false },
  WEFT_NODE_HOME_DAMAGED: { grpc: 'DATA_LOSS', http: 500, exit: 6, todo: 'restore the file from a backup, or enrol again in a new --home', retry: false },
  WEFT_NODE_HOME_EXPOSED: { grpc: 'FAILED_PRECONDITION', http: 500, exit: 6, todo: 'take away the rights of others (chmod 700), and enrol again if someone may have read it', retry: false },
  WEFT_NODE_LEAVING: { grpc: 'ABORTED', http: 409, exit: 4, todo: 'nothing; the operator stopped the node and it will be back', retry: true },
  WEFT_NODE_MODEL_UNAVAILABLE: { grpc: 'FAILED_PRECONDITION', http: 409, exit: 3, todo: 'name the offered model with --model, or leave --model out so that it is fetched', retry: false },
  WEFT_NODE_OFFER_INVALID: { grpc: 'INVALID_ARGUMENT', http: 422, exit: 4, todo: 'tell the admin: parts of the round offer contradict each other', retry: false },
  WEFT_NODE_UPDATE_LOST: { grpc: 'DATA_LOSS', http: 409, exit: 6, todo: 'nothing; the node takes part again in the next round', retry: false },
  WEFT_NODE_RECEIPT_INVALID: { grpc: 'DATA_LOSS', http: 422, exit: 4, todo: 'keep the record of what was sent and show it to the admin', retry: false },
  WEFT_NODE_NO_EXAMPLES: { grpc: 'FAILED_PRECONDITION', http: 422, exit: 3, todo: 'add records: after the held-out share was set aside, none was left to train on', retry: false },
  WEFT_COORDINATOR_CERTIFICATE: { grpc: 'UNAUTHENTICATED', http: 495, exit: 4, todo: 'check the address; if the coordinator has a new certificate, ask the admin for the renewal file and run `weft node trust FILE`', retry: true },
  WEFT_COORDINATOR_UNREACHABLE: { grpc: 'UNAVAILABLE', http: 503, exit: 5, todo: 'check that the coordinator runs and that this machine reaches its address', retry: true },
  WEFT_CERTIFICATE_RENEWAL: { grpc: 'INVALID_ARGUMENT', http: 422, exit: 4, todo: 'ask the admin for the newest renewal file of this federation', retry: false },
});

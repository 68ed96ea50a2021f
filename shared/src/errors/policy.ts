import { defineErrors } from './entry.ts';

/** The policy of a node's operator. */
export const policyErrors = defineErrors({
  WEFT_POLICY_REFUSED: {
    grpc: 'PERMISSION_DENIED',
    http: 403,
    exit: 4,
    todo: "nothing was trained or sent: the node's operator allows it in policy.yaml, or the run asks for less",
    retry: false,
  },
  WEFT_POLICY_INVALID: {
    grpc: 'FAILED_PRECONDITION',
    http: 400,
    exit: 2,
    todo: 'mend what is named in policy.yaml; `weft node policy show` checks it again',
    retry: false,
  },
  WEFT_POLICY_UNREADABLE: {
    grpc: 'FAILED_PRECONDITION',
    http: 400,
    exit: 2,
    todo: 'let the user of the node read policy.yaml, or write it anew with `weft node policy init --replace`',
    retry: false,
  },
  WEFT_POLICY_EXPOSED: {
    grpc: 'FAILED_PRECONDITION',
    http: 500,
    exit: 6,
    todo: 'look whether somebody changed it, then take away the right of others to write (chmod 600)',
    retry: false,
  },
  WEFT_MODEL_STATEMENT_INVALID: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: 2,
    todo: "ask the publisher for the line of `weft org sign-model`, and list the publisher's key in publishers of policy.yaml",
    retry: false,
  },
  WEFT_RUN_NOT_WAITING: {
    grpc: 'NOT_FOUND',
    http: 404,
    exit: 2,
    todo: '`weft node policy show` lists the runs that wait: one is there once the coordinator has offered it to this node',
    retry: false,
  },
  WEFT_POLICY_EXISTS: {
    grpc: 'ALREADY_EXISTS',
    http: 409,
    exit: 2,
    todo: 'edit the file, or change it with `weft node policy init --replace`',
    retry: false,
  },
});

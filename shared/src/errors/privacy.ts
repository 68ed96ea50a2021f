import { defineErrors } from './entry.ts';

/** Faults of differential privacy. */
export const privacyErrors = defineErrors({
  WEFT_PRIVACY_NOISE_UNFIT: {
    grpc: 'INVALID_ARGUMENT',
    http: 400,
    exit: 3,
    todo: 'lower privacy.noiseMultiplier, raise aggregation.secure.smallestSurvivors, or train fewer values',
    retry: false,
  },
  WEFT_PRIVACY_ROUNDING: {
    grpc: 'ABORTED',
    http: 409,
    exit: 4,
    todo: 'nothing to do: this node sits one round out, which happens less than once in 2⁴⁶ rounds',
    retry: true,
  },
  WEFT_PRIVACY_BUDGET_SPENT: {
    grpc: 'FAILED_PRECONDITION',
    http: 409,
    exit: 4,
    todo: 'nothing, if the budget is meant: what was spent stays spent (`weft node ledger`); a larger privacyBudget is a weaker promise to those whose texts these are',
    retry: false,
  },
  WEFT_PRIVACY_NOISE_REQUIRED: {
    grpc: 'PERMISSION_DENIED',
    http: 403,
    exit: 4,
    todo: 'ask the admin for a run with a privacy section, or take privacyBudget out of policy.yaml',
    retry: false,
  },
  WEFT_PRIVACY_LEDGER_DAMAGED: {
    grpc: 'DATA_LOSS',
    http: 500,
    exit: 6,
    todo: 'put back the newest copy of ledger.txt; where it lacks charges, or where there is none, move the file and the ledger-mark.json of each home away, and lower the budget by what this data may have spent since',
    retry: false,
  },
});

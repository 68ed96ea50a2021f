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
});

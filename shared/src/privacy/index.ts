export { epsilonOf, gaussianRdp, renyiOrders, repeated, skellamRdp, type Epsilon } from './accountant.ts';
export {
  clipBit,
  clipNormFollows,
  costOfAdaptiveRound,
  nextClipNorm,
  noisyClipBit,
  vectorNoiseMultiplier,
  withinShareOf,
  type ClipBit,
} from './adaptive-clip.ts';
export { empiricalEpsilon, proportionBound, type Scores } from './audit.ts';
export { encodeNoisyUpdate, roundWithin } from './encoding.ts';
export { createSecretRandom, drawSkellam, type SecretRandom } from './noise.ts';
export { noiseSettings, type NoiseInput, type NoiseSettings } from './noise-settings.ts';
export { isMeaningless, noiseForBudget, planOf, type PrivacyPlan, type PrivacyPlanInput } from './plan.ts';
export { rotate, rotatedLength, rotationBlock, rotationSeed, unrotate } from './rotation.ts';
export { roundedNormBound } from './sensitivity.ts';
export { addSpending, costOfRound, epsilonSpent, nothingSpent, type Spending } from './spending.ts';
export { samplerDistance, skellamTable, type SkellamTable } from './skellam-table.ts';

export { epsilonOf, gaussianRdp, renyiOrders, repeated, skellamRdp, type Epsilon } from './accountant.ts';
export { noiseForBudget, planOf, type PrivacyPlan, type PrivacyPlanInput } from './plan.ts';
export { roundedNormBound } from './sensitivity.ts';

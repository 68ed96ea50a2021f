import { type Epsilon, epsilonOf, repeated, skellamRdp } from './accountant.ts';

export interface PrivacyPlanInput {
  /** Nodes of a round. */
  readonly nodes: number;
  /** Of them, how many honest ones are sure to survive: each carries that share of the noise. */
  readonly honestSurvivors: number;
  readonly rounds: number;
  readonly delta: number;
  readonly clipNormL2: number;
  readonly scale: number;
  /** Values of an update. */
  readonly dim: number;
}

export interface PrivacyPlan extends Epsilon {
  /** z: standard deviation of the noise in the sum over the sensitivity c′. */
  readonly noiseMultiplier: number;
  /** Of each node's own noise, in units of the clip norm, a coordinate. */
  readonly nodeDeviation: number;
  /** Expected L2 norm of the noise in the mean over the largest norm that a mean update can have: z·√d/n. */
  readonly noiseToSignal: number;
  readonly verdict: string;
}

/** Above it ε says so little that only the aggregation protects. */
const meaninglessEpsilon = 40;
/** A mean update this much shorter than its noise moves the model at random. */
const drownedRatio = 10;

/** What a run with this noise costs and does. */
export function planOf(input: PrivacyPlanInput, noiseMultiplier: number): PrivacyPlan {
  const spent = epsilonOf(repeated(skellamRdp({ ...input, noiseMultiplier }), input.rounds), input.delta);
  const noiseToSignal = (noiseMultiplier * Math.sqrt(input.dim)) / input.nodes;
  return {
    ...spent,
    noiseMultiplier,
    nodeDeviation: (noiseMultiplier * input.clipNormL2) / Math.sqrt(input.honestSurvivors),
    noiseToSignal,
    verdict: verdictOn(spent.epsilon, noiseToSignal),
  };
}

export const isMeaningless = (epsilon: number): boolean => epsilon > meaninglessEpsilon;

function verdictOn(epsilon: number, noiseToSignal: number): string {
  const ratio = noiseToSignal.toPrecision(2);
  if (isMeaningless(epsilon))
    return `ε = ${epsilon.toFixed(1)} promises next to nothing: the guarantee of such a run is secure aggregation only.`;
  if (noiseToSignal > drownedRatio)
    return `The noise is ${ratio} times as long as the longest mean update: expect the model to learn nothing. More nodes, fewer trained values or a larger budget would change that.`;
  return `ε = ${epsilon.toFixed(2)} holds for each node over the whole run; the noise is ${ratio} times as long as the longest mean update.`;
}

/**
 * The least noise that keeps within a budget, by bisection to a part in 10⁹.
 * @returns undefined where no noise up to z = 10⁶ does
 */
export function noiseForBudget(input: PrivacyPlanInput, budget: number): PrivacyPlan | undefined {
  let enough = 1;
  while (planOf(input, enough).epsilon > budget) {
    enough *= 2;
    if (enough > 1e6) return undefined;
  }
  let little = 0;
  while (enough - little > enough * 1e-9) {
    const middle = (enough + little) / 2;
    if (planOf(input, middle).epsilon > budget) little = middle;
    else enough = middle;
  }
  return planOf(input, enough);
}

import { describe, expect, it } from 'vitest';
import { epsilonOf, gaussianRdp, repeated, skellamRdp } from './accountant.ts';
import { noiseForBudget, planOf } from './plan.ts';
import { roundedNormBound } from './sensitivity.ts';

// q, σ, steps, δ → ε, best order: computed with another accountant.
const gaussian = [
  [1, 5, 100, 1e-5, 10.80169148, 3],
  [0.01, 1.1, 1000, 1e-5, 1.725290818, 9],
  [256 / 60_000, 1.1, 14_062, 1e-5, 2.5969811786, 8],
  [0.01, 4, 10_000, 1e-5, 1.035490066, 17],
  [0.02, 1, 500, 1e-6, 3.6062757673, 6],
  [1, 4.530877117, 1, 1e-6, 1.0000002896, 22],
] as const;

describe('privacy accountant', () => {
  it('gives the reference values of the Gaussian mechanism to 1e-9', () => {
    for (const [samplingShare, noiseMultiplier, steps, delta, epsilon, order] of gaussian) {
      const spent = epsilonOf(repeated(gaussianRdp({ samplingShare, noiseMultiplier }), steps), delta);
      expect(Math.abs(spent.epsilon - epsilon)).toBeLessThan(1e-9);
      expect(spent.order).toBe(order);
    }
  });

  it('gives the reference value of Skellam noise, a hair above the Gaussian', () => {
    const rdp = skellamRdp({ noiseMultiplier: 5, clipNormL2: 1, scale: 65_536, dim: 2 ** 20 });
    const spent = epsilonOf(repeated(rdp, 100), 1e-5);
    expect(Math.abs(spent.epsilon - 10.8016914801)).toBeLessThan(1e-9);
    expect(spent.order).toBe(3);
    const coarse = skellamRdp({ noiseMultiplier: 5, clipNormL2: 1, scale: 16, dim: 64 });
    expect(epsilonOf(repeated(coarse, 100), 1e-5).epsilon).toBeGreaterThan(spent.epsilon + 1e-6);
  });

  it('bounds the norm after rounding as published for 2²⁰ values', () => {
    const growth = (scale: number): number => roundedNormBound({ clipNormL2: 1, scale, dim: 2 ** 20 }) / scale;
    expect(growth(2 ** 16)).toBeCloseTo(1.0000382, 7);
    expect(growth(2 ** 14)).toBeCloseTo(1.00052, 5);
    expect(growth(2 ** 12)).toBeCloseTo(1.0079, 4);
    expect(growth(2 ** 10)).toBeCloseTo(1.119, 3);
  });

  it('is less with more noise and more with more rounds', () => {
    const at = (z: number, rounds: number): number =>
      planOf({ nodes: 100, honestSurvivors: 60, rounds, delta: 1e-5, clipNormL2: 1, scale: 65_536, dim: 4096 }, z)
        .epsilon;
    expect(at(2, 10)).toBeLessThan(at(1, 10));
    expect(at(2, 20)).toBeGreaterThan(at(2, 10));
  });

  it('finds the least noise of a budget, and says when a run makes no sense', () => {
    const input = {
      nodes: 10,
      honestSurvivors: 6,
      rounds: 30,
      delta: 1e-5,
      clipNormL2: 1,
      scale: 65_536,
      dim: 460_800,
    };
    const plan = noiseForBudget(input, 8)!;
    expect(plan.epsilon).toBeLessThanOrEqual(8);
    expect(planOf(input, plan.noiseMultiplier * 0.999).epsilon).toBeGreaterThan(8);
    expect(plan.verdict).toContain('learn nothing');
    expect(planOf(input, 1).verdict).toContain('secure aggregation only');
  });
});

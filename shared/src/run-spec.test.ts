import { describe, expect, it } from 'vitest';
import { isWeftError } from './errors/weft-error.ts';
import { hashRunSpec, parseRunSpec, trainedFactor, type RunSpecInput } from './run-spec.ts';

const minimal: RunSpecInput = {
  name: 'first',
  baseModel: { name: 'tiny', sha256: 'a'.repeat(64) },
  training: { steps: 10 },
  aggregation: { mode: 'plain' },
  rounds: 4,
};

const problemsOf = (input: unknown): string => {
  try {
    parseRunSpec(input);
  } catch (error) {
    if (isWeftError(error, 'WEFT_SPEC_INVALID')) return error.message;
  }
  throw new Error('the spec was accepted');
};

describe('run spec', () => {
  it('fills in defaults, so that the hash covers what will happen', () => {
    const spec = parseRunSpec(minimal);
    expect(spec.adapter.schedule).toBe('rolora');
    expect(hashRunSpec(spec)).toBe(hashRunSpec(parseRunSpec(structuredClone(spec))));
    expect(hashRunSpec(parseRunSpec({ ...minimal, rounds: 5 }))).not.toBe(hashRunSpec(spec));
  });

  it('reports three mistakes at once', () => {
    const message = problemsOf({
      ...minimal,
      rounds: 0,
      training: { steps: 1.5 },
      aggregation: { mode: 'plain', clip: 3 },
    });
    expect(message).toContain('has 3 mistakes');
    for (const path of ['rounds:', 'training.steps:', 'aggregation: ']) expect(message).toContain(path);
  });

  it('must say aggregation.mode', () => {
    expect(problemsOf({ ...minimal, aggregation: {} })).toContain('aggregation.mode');
  });

  it('refuses a sum that could leave the ring, with both numbers', () => {
    const cohort = problemsOf({
      ...minimal,
      cohort: { maximum: 65_539 },
      aggregation: { mode: 'plain', weightCap: 1 },
    });
    expect(cohort).toContain('65539 nodes reach 2147516413, the limit is 2147483648');
    const weights = problemsOf({
      ...minimal,
      cohort: { maximum: 1000 },
      aggregation: { mode: 'plain', weightCap: 5_000_000 },
    });
    expect(weights).toContain('1000 nodes reach 5000000000, the limit is 4294967296');
    expect(() =>
      parseRunSpec({ ...minimal, cohort: { maximum: 65_538 }, aggregation: { mode: 'plain', weightCap: 1 } }),
    ).not.toThrow();
  });

  it('alternates factors in RoLoRA, beginning with B', () => {
    expect([0, 1, 2, 3].map((round) => trainedFactor('rolora', round))).toEqual(['B', 'A', 'B', 'A']);
    expect(trainedFactor('ffa', 3)).toBe('B');
    expect(trainedFactor('fedit', 3)).toBe('both');
  });
});

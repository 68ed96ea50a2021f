import { describe, expect, it } from 'vitest';
import { aggregationRules, trimmedShardsAtEachEnd } from './aggregation-rules.ts';
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

  it('takes a cap for each organisation, from one on, and hashes a spec without one as ever', () => {
    const capped = (perOrganisation: number) => ({ ...minimal, cohort: { perOrganisation } });
    expect(parseRunSpec(capped(1)).cohort.perOrganisation).toBe(1);
    expect(Object.keys(parseRunSpec(minimal).cohort)).not.toContain('perOrganisation');
    for (const wrong of [0, 1.5, -2]) expect(problemsOf(capped(wrong))).toContain('cohort.perOrganisation:');
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

  it('takes a robust rule in mode plain, where each node counts once and there are enough', () => {
    const robust = (aggregation: RunSpecInput['aggregation'], minimum = 7) => ({
      ...minimal,
      cohort: { minimum, maximum: 20 },
      aggregation: { mode: 'plain', weighting: 'uniform', ...aggregation } as const,
    });
    expect(parseRunSpec(minimal).aggregation.rule).toBe('mean');
    for (const rule of aggregationRules)
      expect(parseRunSpec(robust({ rule, robust: { byzantine: 1 } })).aggregation.rule).toBe(rule);
    expect(problemsOf(robust({ rule: 'krum', mode: 'secure' }))).toContain(
      'krum looks at each update, and secure aggregation shows the coordinator their sum alone',
    );
    expect(problemsOf(robust({ rule: 'bulyan', weighting: 'examples' }))).toContain('aggregation.weighting: uniform');
    expect(problemsOf(robust({ rule: 'bulyan' }, 6))).toContain(
      '6 updates are too few for bulyan against 1 hostile, which takes 7',
    );
    expect(problemsOf(robust({ rule: 'krum', robust: { byzantine: 3 } }, 8))).toContain('which takes 9');
    expect(problemsOf(robust({ rule: 'coordinate-median' }, 2))).toContain(
      '2 updates are too few for coordinate-median, which takes 3',
    );
    expect(problemsOf({ ...robust({ rule: 'krum' }), cohort: { minimum: 7, maximum: 1025 } })).toContain(
      '1025 nodes; krum takes 1024',
    );
    expect(problemsOf(robust({ rule: 'trimmed-mean', robust: { trimShare: 0.5 } }))).toContain(
      'aggregation.robust.trimShare',
    );
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
    expect(() =>
      parseRunSpec({ ...minimal, cohort: { maximum: 65_538 }, aggregation: { mode: 'plain', weightCap: 1 } }),
    ).not.toThrow();
  });

  it('takes noise only where nothing leaves a node without it, each time with the reason', () => {
    const noisy: RunSpecInput = {
      ...minimal,
      cohort: { minimum: 5, maximum: 5 },
      aggregation: { mode: 'secure', weighting: 'uniform' },
      evaluation: { heldOutShare: 0 },
      privacy: { noiseMultiplier: 1 },
    };
    expect(parseRunSpec(noisy).privacy).toEqual({
      unit: 'node',
      noiseMultiplier: 1,
      adaptiveClipping: false,
      delta: 1e-5,
    });
    const adapting = { ...noisy, privacy: { noiseMultiplier: 0.5, adaptiveClipping: true } };
    expect(problemsOf(adapting)).toContain('5 nodes are too few to adapt the clip norm at a noise multiplier of 0.5');
    expect(() => parseRunSpec({ ...adapting, privacy: { ...adapting.privacy, noiseMultiplier: 0.4 } })).not.toThrow();
    const open = problemsOf({ ...noisy, aggregation: { mode: 'plain' }, evaluation: {} });
    expect(open).toContain('in mode plain the coordinator reads each update');
    expect(open).toContain('number of examples without noise');
    expect(open).toContain('the loss on 0.1 of the records');
    const publishing = { mode: 'secure', weighting: 'uniform', secure: { publishInputs: true } } as const;
    expect(parseRunSpec({ ...noisy, aggregation: publishing }).aggregation.secure.auditDays).toBe(30);
    expect(problemsOf({ ...noisy, aggregation: publishing, privacy: undefined })).toContain('add a privacy section');
    expect(problemsOf({ ...noisy, privacy: { unit: 'record', noiseMultiplier: 1 } })).toContain(
      'the privacy of a single record is not offered',
    );
    const lonely = { mode: 'secure', weighting: 'uniform', secure: { smallestSurvivors: 5 } };
    expect(problemsOf({ ...noisy, aggregation: lonely })).toContain('of 5 nodes 4 do when 1 collude');
  });

  it('takes ten thousand nodes in secure mode, and refuses sizes at which a shard would withstand too little', () => {
    const many = (cohort: RunSpecInput['cohort'], secure: object = {}): RunSpecInput => ({
      ...minimal,
      cohort: cohort!,
      aggregation: { mode: 'secure', weighting: 'uniform', secure },
    });
    const largest = { minimum: 100, maximum: 10_000 };
    expect(parseRunSpec(many(largest, { stepSeconds: 1888 })).cohort.maximum).toBe(10_000);
    expect(problemsOf(many(largest, { stepSeconds: 1887 }))).toContain('takes half of 1888 s at 200 Mbit/s');
    expect(parseRunSpec(many({ minimum: 100, maximum: 2500 })).aggregation.secure.stepSeconds).toBe(120);
    expect(problemsOf(many({ minimum: 100, maximum: 10_001 }))).toContain(
      '10001 nodes; secure aggregation takes 10000',
    );
    // At both ends all is well; between them the second shard begins.
    expect(problemsOf(many({ minimum: 100, maximum: 256 }, { colludingShare: 0.2, droppingShare: 0.38 }))).toContain(
      'of 129 nodes a shard has 64, of whom 26 are sure to stay and 25 may collude',
    );
    expect(problemsOf(many({ minimum: 100, maximum: 200 }, { smallestSurvivors: 30 }))).toContain(
      'of 129 nodes a shard has 65, of whom 34 are sure to stay and 12 may collude',
    );
  });

  it('trims the means of shards only in secure mode, and where every cohort has five of them', () => {
    const trimmed = (minimum: number, more: object = {}): RunSpecInput => ({
      ...minimal,
      cohort: { minimum, maximum: 1000 },
      aggregation: { mode: 'secure', weighting: 'uniform', secure: { shardRule: 'trimmed-mean' }, ...more },
    });
    expect(parseRunSpec(minimal).aggregation.secure.shardRule).toBe('mean');
    expect(parseRunSpec(trimmed(513)).aggregation.secure.shardRule).toBe('trimmed-mean');
    expect(problemsOf(trimmed(512))).toContain('512 nodes make 4 shards of at most 128');
    expect(problemsOf(trimmed(513, { mode: 'plain' }))).toContain('mode plain has none');
    // Each shard's sum has noise enough of its own, and the trimmed mean is computed from what was released.
    const noisy = { ...trimmed(513), evaluation: { heldOutShare: 0 }, privacy: { noiseMultiplier: 1 } };
    expect(parseRunSpec(noisy).privacy).toBeDefined();
    expect([1, 4, 5, 9, 10, 79].map((shards) => trimmedShardsAtEachEnd(shards, 0.2))).toEqual([0, 1, 1, 1, 2, 15]);
    expect([trimmedShardsAtEachEnd(6, 0), trimmedShardsAtEachEnd(6, 0.4999)]).toEqual([1, 2]);
  });

  it('alternates factors in RoLoRA, beginning with B', () => {
    expect([0, 1, 2, 3].map((round) => trainedFactor('rolora', round))).toEqual(['B', 'A', 'B', 'A']);
    expect(trainedFactor('ffa', 3)).toBe('B');
    expect(trainedFactor('fedit', 3)).toBe('both');
  });
});

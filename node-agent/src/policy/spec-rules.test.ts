import { parseRunSpec, runSpecSchema, sha256, type RunSpec, type RunSpecInput } from '@weft/shared';
import { expect, test } from 'vitest';
import { z } from 'zod';
import {
  allowedDevice,
  allowedThreads,
  localRules,
  refusalOfHour,
  refusalOfMemory,
  refusalOfRows,
} from './local-rules.ts';
import { defaultPolicy, policyKeys, policySchema, type PolicyInput, type PolicyKey } from './policy.ts';
import { refusalOfRun, refusedRules } from './refuse.ts';
import { harmlessSpecKeys, refusalsOfSpec, specRules } from './spec-rules.ts';

interface Def {
  readonly type: string;
  readonly innerType?: z.core.$ZodType;
  readonly in?: z.core.$ZodType;
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
  readonly options?: readonly z.core.$ZodType[];
}

/** Paths of everything in a schema that is no object, through defaults and unions. */
function leavesOf(schema: z.core.$ZodType, path: readonly string[] = []): string[] {
  const { shape, innerType, in: input, options, type }: Def = schema._zod.def;
  if (type === 'object') return Object.entries(shape ?? {}).flatMap(([key, inner]) => leavesOf(inner, [...path, key]));
  if (innerType !== undefined) return leavesOf(innerType, path);
  if (type === 'pipe' && input !== undefined) return leavesOf(input, path);
  if (type === 'union') return [...new Set((options ?? []).flatMap((option) => leavesOf(option, path)))];
  return [path.join('.')];
}

const covered = new Set([
  ...Object.keys(harmlessSpecKeys),
  ...Object.values(specRules).flatMap(({ covers }) => covers),
]);

test('every key of the run spec has a rule or a reason why it needs none, and no other key has', () => {
  const leaves = leavesOf(runSpecSchema);
  expect(leaves.length).toBeGreaterThan(30);
  expect(leaves.filter((path) => !covered.has(path))).toEqual([]);
  expect([...covered].filter((path) => !leaves.includes(path))).toEqual([]);
  const ruled = new Set(Object.values(specRules).flatMap(({ covers }) => covers));
  expect(Object.keys(harmlessSpecKeys).filter((path) => ruled.has(path))).toEqual([]);
});

test('a key that is added to the run spec, however deep, is missed at once', () => {
  const planted = z.strictObject({
    ...runSpecSchema.shape,
    hooks: z.strictObject({ script: z.string().optional() }).prefault({}),
  });
  expect(leavesOf(planted).filter((path) => !covered.has(path))).toEqual(['hooks.script']);
  const spec = { ...secureSpec({}), hooks: { script: 'rm' } } as RunSpec;
  expect(refusalsOfSpec(spec, defaultPolicy)).toEqual([
    { rule: 'version', why: 'this version has no rule about hooks.script' },
  ]);
});

test('every key of the policy is held somewhere', () => {
  expect(policyKeys.filter((key) => specRules[key] === undefined && localRules[key] === undefined)).toEqual([]);
});

const base = {
  name: 'run',
  baseModel: { name: 'm', sha256: sha256('model') },
  training: { steps: 4, batchSize: 4 },
  rounds: 3,
} as const;
const secureSpec = ({ aggregation, ...changes }: Partial<RunSpecInput>): RunSpec =>
  parseRunSpec({ ...base, cohort: { minimum: 5, maximum: 10 }, aggregation: { ...aggregation }, ...changes });

test('a run within the default policy is taken', () => {
  expect(refusalOfRun(secureSpec({}), defaultPolicy)).toBeUndefined();
});

const broken: [PolicyKey, Partial<RunSpecInput>, PolicyInput?][] = [
  ['baseModels', {}, { baseModels: [sha256('another')] }],
  ['adapterTargets', { adapter: { targets: ['q_proj', 'down_proj'] } }, { adapterTargets: ['q_proj', 'v_proj'] }],
  ['greatestRank', { adapter: { rank: 65 } }],
  ['leastSteps', { training: { steps: 1, batchSize: 64 } }],
  ['leastExamples', { training: { steps: 3, batchSize: 5 } }],
  ['mostRounds', { rounds: 1001 }],
  ['secureAggregation', { aggregation: { mode: 'plain' } }],
  ['smallestCohort', { cohort: { minimum: 4, maximum: 10 } }],
  ['smallestSurvivors', { aggregation: { secure: { smallestSurvivors: 1 } } }],
  ['leastColluders', { aggregation: { secure: { leastColluders: 0 } } }],
  ['leastColluders', { aggregation: { secure: { colludingShare: 0.2 } } }, { leastColluders: 2 }],
  ['leastNoise', {}, { leastNoise: 1 }],
  ['privacyBudget', {}, { privacyBudget: 3, privacyLedger: 'home' }],
  [
    'publishMaskedInputs',
    {
      aggregation: { weighting: 'uniform', secure: { publishInputs: true } },
      privacy: { noiseMultiplier: 1 },
      evaluation: { heldOutShare: 0 },
    },
  ],
  ['greatestClipNorm', { aggregation: { clipNormL2: 10.5 } }],
  ['weighting', { aggregation: { weighting: 'examples' } }, { weighting: ['uniform'] }],
  ['heldOutShare', { evaluation: { heldOutShare: 0.2 } }, { metrics: ['held-out-loss'] }],
  ['greatestServerRate', { aggregation: { server: { learningRate: 2.1 } } }],
];
test.each(broken)('%s: a run that asks for more is refused by this name and no other', (rule, spec, policy = {}) => {
  const refusal = refusalOfRun(secureSpec(spec), policySchema.parse(policy));
  expect(refusal).toMatchObject({ code: 'WEFT_POLICY_REFUSED', message: expect.stringContaining(`${rule}: `) });
  expect(refusedRules(refusal!)).toBe(rule);
});

test('each rule about the spec has a run that it alone refuses', () => {
  // one objective is all there is: none can break its rule
  const tried = new Set([...broken.map(([rule]) => rule), 'objectives']);
  expect(Object.keys(specRules).filter((rule) => !tried.has(rule))).toEqual([]);
});

test('an objective that the policy does not name is refused', () => {
  const policy = { ...defaultPolicy, objectives: [] };
  expect(refusedRules(refusalOfRun(secureSpec({}), policy)!)).toBe('objectives');
});

test('where one of three may drop nobody may collude, so that it takes an operator who asks to withstand none', () => {
  const cohort = { minimum: 3, maximum: 3 };
  expect(refusalOfRun(secureSpec({ cohort }), { ...defaultPolicy, smallestCohort: 3 })).toBeUndefined();
  const three = secureSpec({ cohort, aggregation: { secure: { droppingShare: 0.34 } } });
  expect(refusedRules(refusalOfRun(three, { ...defaultPolicy, smallestCohort: 3 })!)).toBe('leastColluders');
  expect(refusalOfRun(three, { ...defaultPolicy, smallestCohort: 3, leastColluders: 0 })).toBeUndefined();
});

test('in plain mode counts of members promise nothing and refuse nothing', () => {
  const plain = secureSpec({ aggregation: { mode: 'plain' }, cohort: { minimum: 1, maximum: 1 } });
  expect(refusalOfRun(plain, { ...defaultPolicy, secureAggregation: 'optional' })).toBeUndefined();
});

test('what the coordinator hears of a refusal are the names of all broken rules and no value', () => {
  const refusal = refusalOfRun(secureSpec({ rounds: 2000, adapter: { rank: 128 } }), defaultPolicy)!;
  expect(refusedRules(refusal)).toBe('greatestRank, mostRounds');
  expect(refusal.message).toContain('2000');
});

const at = (hour: number, minute = 0): Date => new Date(2026, 0, 5, hour, minute);
test('hours hold at their edges, and over midnight', () => {
  const night = { ...defaultPolicy, hours: ['22:00-06:00', '12:30-13:00'] };
  const isOpen = (now: Date): boolean => refusalOfHour(night, now) === undefined;
  expect([at(22), at(23, 59), at(0), at(5, 59), at(12, 30), at(12, 59)].map(isOpen)).not.toContain(false);
  expect([at(6), at(21, 59), at(12, 29), at(13)].map(isOpen)).not.toContain(true);
  expect(refusalOfHour({ ...night, hours: ['00:00-00:00'] }, at(9))).toBeUndefined();
  expect(refusalOfHour(defaultPolicy, at(9))).toBeUndefined();
});

test('rows, memory, threads and devices hold at their edges', () => {
  expect(refusalOfRows(defaultPolicy, 16)).toBeUndefined();
  expect(refusalOfRows(defaultPolicy, 15)).toMatchObject({ rule: 'leastExamples' });
  const small = { ...defaultPolicy, memoryMiB: 100 };
  expect(refusalOfMemory(small, 100 * 2 ** 20)).toBeUndefined();
  expect(refusalOfMemory(small, 100 * 2 ** 20 + 1)).toMatchObject({ rule: 'memoryMiB' });
  expect(allowedThreads({ ...defaultPolicy, threads: 2 }, 8)).toBe(2);
  const devices: PolicyInput = { devices: ['cpu', 'cuda'] };
  expect(allowedDevice(policySchema.parse(devices), 'auto')).toBe('cpu');
  expect(allowedDevice(policySchema.parse(devices), 'cuda')).toBe('cuda');
  expect(() => allowedDevice(policySchema.parse(devices), 'webgpu')).toThrow('devices');
  expect(allowedDevice(defaultPolicy, 'webgpu')).toBe('webgpu');
});

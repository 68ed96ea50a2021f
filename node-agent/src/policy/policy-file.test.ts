import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { isWeftError, loraTargets, parseRunSpec, sha256, type RunId } from '@weft/shared';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { approveRun, isApproved, noteWaiting, readWaiting } from './approvals.ts';
import { maxPolicyBytes, parsePolicy } from './parse-policy.ts';
import { policyPath, readPolicy, writePolicy } from './policy-file.ts';
import { defaultPolicy, policyKeys, policySchema, type Policy } from './policy.ts';
import { policyInWords, policyYaml } from './policy-text.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-policy-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const problemsOf = (text: string): string => {
  try {
    parsePolicy(text);
  } catch (error) {
    if (isWeftError(error, 'WEFT_POLICY_INVALID')) return error.message;
    throw error;
  }
  throw new Error(`this policy was taken: ${text}`);
};

const policies: fc.Arbitrary<Policy> = fc
  .record({
    baseModels: fc.oneof(fc.constant('any'), fc.array(fc.string().map(sha256), { minLength: 1, maxLength: 3 })),
    adapterTargets: fc.subarray([...loraTargets], { minLength: 1 }),
    greatestRank: fc.integer({ min: 1, max: 256 }),
    secureAggregation: fc.constantFrom('required', 'optional'),
    smallestCohort: fc.integer({ min: 3, max: 10_000 }),
    greatestClipNorm: fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
    hours: fc.oneof(fc.constant('any'), fc.constant(['22:00-06:00', '00:00-00:00'])),
    threads: fc.oneof(fc.constant('any'), fc.integer({ min: 1, max: 1024 })),
    approval: fc.constantFrom('by-rule', 'by-hand'),
  })
  .map((values) => policySchema.parse(values));

test('what is written is what is read, whatever the policy, with words for every key', () => {
  fc.assert(
    fc.property(policies, (policy) => {
      expect(parsePolicy(policyYaml(policy))).toEqual(policy);
      expect(policyInWords(policy).map(({ key }) => key)).toEqual(policyKeys.filter((key) => key !== 'version'));
    }),
    { numRuns: 50 },
  );
});

test('all mistakes are told at once, each with its value, its rule and how to mend it', () => {
  const message = problemsOf(
    'secureAgregation: optional\nsmallestCohort: two\ngreatestClipNorm: -1\nhours: [25:00-26:00]\ncolour: 1\n',
  );
  expect(message).toContain('has 5 mistakes');
  expect(message).toContain('secureAgregation: there is no such key; did you mean secureAggregation?');
  expect(message).toContain('smallestCohort: "two": must be a whole number from 3 to 10000');
  expect(message).toMatch(/greatestClipNorm: -1: /);
  expect(message).toContain('hours.0: "25:00-26:00": must be HH:MM-HH:MM');
  expect(message).toContain('colour: there is no such key; the keys are version, baseModels');
});

const refused: [string, string][] = [
  ['nothing at all', ''],
  ['a list', '- a\n- b\n'],
  ['a lone word', 'required'],
  ['a key twice', 'mostRounds: 1\nmostRounds: 1000\n'],
  ['an alias', 'adapterTargets: &a [q_proj]\nweighting: *a\n'],
  ['a billion laughs', `a: &a [x,x]\n${'bcdefghij'.replaceAll(/./g, (l) => `${l}: &${l} [*a,*a,*a,*a,*a,*a]\n`)}`],
  ['a tag of its own', 'mostRounds: !!js/function "x"\n'],
  ['two documents', 'mostRounds: 1\n---\nmostRounds: 2\n'],
  ['a number as text', 'mostRounds: "10"\n'],
  ['a yes where a word is due', 'secureAggregation: true\n'],
  ['an empty value', 'smallestCohort:\n'],
  ['infinity', 'greatestClipNorm: .inf\n'],
  ['no number', 'greatestClipNorm: .nan\n'],
  ['an empty list', 'devices: []\n'],
  ['a key of the prototype', '__proto__: { secureAggregation: optional }\n'],
  ['organisations counted where none is listed', 'fewestOrganisations: 2\n'],
  ['more organisations than it lists', `trustedOrganisations: [${'a'.repeat(64)}]\nfewestOrganisations: 2\n`],
  ['publishers where any model is allowed', `publishers: [${'a'.repeat(64)}]\n`],
  ['no way to allow a base model', 'baseModels: none\n'],
  ['a budget without a place to count it', 'privacyBudget: 3\n'],
  ['a ledger that depends on the folder of the start', 'privacyLedger: ledger\n'],
  ['a later version', 'version: 2\n'],
  ['a key in other letters', 'SecureAggregation: optional\n'],
  ['too many bytes', `# ${'x'.repeat(maxPolicyBytes)}\n`],
];
test.each(refused)('a policy with %s is refused, and never read as less than it says', (_what, text) => {
  expect(problemsOf(text)).toContain('so nothing is trained');
});

test('no text leads to anything but a policy or a catalogued error', () => {
  const whole = policyYaml(defaultPolicy);
  const changed = fc
    .tuple(fc.nat(whole.length), fc.string({ unit: 'binary', maxLength: 12 }), fc.nat(8))
    .map(([where, put, cut]) => whole.slice(0, where) + put + whole.slice(where + cut));
  fc.assert(
    fc.property(fc.oneof(changed, fc.string({ unit: 'binary', maxLength: 300 })), (text) => {
      try {
        expect(policySchema.safeParse(parsePolicy(text)).success).toBe(true);
      } catch (error) {
        expect(isWeftError(error, 'WEFT_POLICY_INVALID'), String(error)).toBe(true);
      }
    }),
    { numRuns: 400 },
  );
});

test('without a file the defaults hold; a written one is for its owner alone and is not overwritten unasked', async () => {
  expect(await readPolicy(home)).toMatchObject({ policy: defaultPolicy, isWritten: false });
  const policy = policySchema.parse({ mostRounds: 7 });
  await writePolicy(home, policy);
  expect(await readPolicy(home)).toMatchObject({ policy, isWritten: true });
  expect((await stat(policyPath(home))).mode & 0o777).toBe(0o600);
  await expect(writePolicy(home, defaultPolicy)).rejects.toMatchObject({ code: 'WEFT_POLICY_EXISTS' });
  await writePolicy(home, defaultPolicy, { replace: true });
  expect(await readPolicy(home)).toMatchObject({ policy: defaultPolicy, isWritten: true });
  expect(await readdir(home)).toEqual(['policy.yaml']);
});

test.skipIf(process.platform === 'win32')('a file that others may write is refused', async () => {
  await writePolicy(home, defaultPolicy);
  for (const mode of [0o620, 0o602, 0o666]) {
    await chmod(policyPath(home), mode);
    await expect(readPolicy(home)).rejects.toMatchObject({
      code: 'WEFT_POLICY_EXPOSED',
      message: expect.stringContaining(`mode ${mode.toString(8)}`),
    });
  }
  await chmod(policyPath(home), 0o644);
  expect(await readPolicy(home)).toMatchObject({ isWritten: true });
});

test('a file that cannot be read is never taken for none', async () => {
  const unreadable = (): Promise<unknown> =>
    expect(readPolicy(home)).rejects.toMatchObject({ code: 'WEFT_POLICY_UNREADABLE' });
  await mkdir(policyPath(home));
  await unreadable();
  await rm(policyPath(home), { recursive: true });
  await writeFile(policyPath(home), Uint8Array.of(0x6d, 0xff, 0xfe), { mode: 0o600 });
  await unreadable();
  await writeFile(policyPath(home), 'x'.repeat(maxPolicyBytes + 1), { mode: 0o600 });
  await unreadable();
  await rm(policyPath(home));
  await expect(readPolicy(join(policyPath(home), '..', 'nothing\0'))).rejects.toBeDefined();
});

test.runIf(process.platform === 'linux')('a pipe in its place does not hold the node', async () => {
  expect(spawnSync('mkfifo', ['-m', '600', policyPath(home)]).status).toBe(0);
  await expect(readPolicy(home)).rejects.toMatchObject({ code: 'WEFT_POLICY_UNREADABLE' });
});

test('a run is approved with its spec: another spec under the same id waits again', async () => {
  const runId = `r_${'a'.repeat(32)}` as RunId;
  const spec = parseRunSpec({
    name: 'first',
    baseModel: { name: 'm', sha256: sha256('m') },
    training: { steps: 1 },
    aggregation: { mode: 'plain' },
    rounds: 1,
  });
  await expect(approveRun(home, runId)).rejects.toMatchObject({ code: 'WEFT_RUN_NOT_WAITING' });
  await noteWaiting(home, runId, spec);
  expect(await isApproved(home, runId, spec)).toBe(false);
  await approveRun(home, runId);
  expect(await isApproved(home, runId, spec)).toBe(true);
  expect(await readWaiting(home)).toMatchObject([{ runId, runName: 'first', approved: true }]);
  const changed = { ...spec, rounds: 2 };
  expect(await isApproved(home, runId, changed)).toBe(false);
  await noteWaiting(home, runId, changed);
  expect(await readWaiting(home)).toMatchObject([{ approved: false }]);
});

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isWeftError, parseRunSpec, type RunId } from '@weft/shared';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { defaultPolicy } from '../policy/policy.ts';
import { followClipNorm, refusalOfClipNorm } from './clip-norm.ts';

const spec = (adaptiveClipping: boolean) =>
  parseRunSpec({
    name: 'norms',
    baseModel: { name: 'tiny', sha256: 'a'.repeat(64) },
    training: { steps: 1 },
    cohort: { minimum: 11, maximum: 20 },
    aggregation: { weighting: 'uniform', clipNormL2: 2 },
    evaluation: { heldOutShare: 0 },
    privacy: { noiseMultiplier: 1, adaptiveClipping },
    rounds: 9,
  });
const offer = (round: number, clipNormL2: number, adaptiveClipping = true, runId = 'r_1') => ({
  runId: runId as RunId,
  round,
  spec: spec(adaptiveClipping),
  clipNormL2,
});

let home: string;
beforeEach(async () => void (home = await mkdtemp(join(tmpdir(), 'weft-norms-'))));
afterEach(() => rm(home, { recursive: true }));
const refusalOf = (work: Promise<void>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => (isWeftError(error) ? error.code : error),
  );

test('a norm moves by one step a round from the one that was seen last, and no refused one is remembered', async () => {
  await followClipNorm(home, offer(0, 2));
  await followClipNorm(home, offer(1, 2 * Math.exp(0.1)));
  expect(await refusalOf(followClipNorm(home, offer(2, 2 * Math.exp(0.21))))).toBe('WEFT_NODE_OFFER_INVALID');
  expect(await refusalOf(followClipNorm(home, offer(2, 2 * Math.exp(-0.01))))).toBe('WEFT_NODE_OFFER_INVALID');
  await followClipNorm(home, offer(2, 2 * Math.exp(0.2)));
  // Missed rounds may each have moved it.
  await followClipNorm(home, offer(5, 2 * Math.exp(-0.1)));
  expect(JSON.parse(await readFile(join(home, 'clip-norms.json'), 'utf8'))).toMatchObject({ r_1: { round: 5 } });
});

test('the same round has the same norm, whenever it is offered', async () => {
  await followClipNorm(home, offer(3, 2.5));
  await followClipNorm(home, offer(3, 2.5));
  expect(await refusalOf(followClipNorm(home, offer(3, 2.50001)))).toBe('WEFT_NODE_OFFER_INVALID');
  await followClipNorm(home, offer(3, 1, true, 'r_2'));
});

test('where nothing adapts the norm nothing is written', async () => {
  await followClipNorm(home, offer(0, 2, false));
  await expect(readFile(join(home, 'clip-norms.json'))).rejects.toThrow('ENOENT');
});

test('a norm that grew above what the policy allows is refused by the name of its rule', () => {
  expect(refusalOfClipNorm(defaultPolicy, defaultPolicy.greatestClipNorm)).toBeUndefined();
  expect(refusalOfClipNorm(defaultPolicy, defaultPolicy.greatestClipNorm + 0.1)?.rule).toBe('greatestClipNorm');
});

import { join } from 'node:path';
import { readSent } from '@weft/node-agent';
import type { RunDetailView } from '@weft/shared';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runWeft } from '../run-weft.ts';
import { type ChaosFederation, setUpChaos } from './chaos-federation.ts';

/** Several scenarios at once. */
const timeout = 240_000;
const dayMs = 24 * 3600 * 1000;
const names = ['amina', 'bruno', 'chiara'];
const aggregation = { mode: 'secure', clipNormL2: 10, weighting: 'uniform' } as const;

// Of three members nobody may drop: a round ends with what the killed ones still know, or not at all.
let federation: ChaosFederation;
let unbroken: RunDetailView;
beforeAll(async () => {
  federation = await setUpChaos({
    names,
    specs: [
      { aggregation, rounds: 1 },
      // Anyone may recompute it.
      {
        aggregation: { ...aggregation, secure: { publishInputs: true } },
        evaluation: { heldOutShare: 0 },
        privacy: { noiseMultiplier: 0.5 },
        rounds: 1,
      },
    ],
    policy: { smallestCohort: 3, publishMaskedInputs: 'yes' },
  });
  ({ run: unbroken } = await federation.play());
}, 120_000);
afterAll(() => federation.close());

const payloadsSent = async (home: string): Promise<number> =>
  new Set((await readSent(home)).flatMap((sent) => (sent.kind === 'update' ? [sent.payloadSha256] : []))).size;

test('a secure run ends after one round where nobody dies', () => {
  expect(unbroken).toMatchObject({ state: 'finished', roundsCommitted: 1 });
  expect(unbroken.roundsDone[0]).toMatchObject({ contributors: 3 });
});

// One round of three nodes: each point somewhere in the middle.
test.concurrent.each([
  { point: 'before-offer-row', passing: 1 },
  { point: 'after-offer-row', passing: 1 },
  { point: 'before-keyAdvert-row', passing: 2 },
  { point: 'after-keyAdvert-row', passing: 3 },
  { point: 'before-shares-row', passing: 3 },
  { point: 'after-shares-row', passing: 2 },
  { point: 'before-maskedInput-row', passing: 1 },
  { point: 'after-maskedInput-row', passing: 3 },
  { point: 'after-cutAck-row', passing: 3 },
  { point: 'after-opening-row', passing: 3 },
  { point: 'before-addition', passing: 2 },
  { point: 'before-commit', passing: 1 },
])('the coordinator killed at $point goes on with the same round, to the same adapter', { timeout }, async (kill) => {
  const { run, place } = await federation.play({ coordinator: kill });
  expect(run).toMatchObject({ state: 'finished', roundsCommitted: 1, adapterSha256: unbroken.adapterSha256 });
  expect(run.roundsDone).toHaveLength(1);
  expect(run.roundsDone[0]).toMatchObject({ round: 0, contributors: 3 });
  // Whatever was sent again after a break was the same masked update.
  for (const name of names) expect(await payloadsSent(place.home(name))).toBe(1);
});

test.concurrent.each([
  { what: 'the rows of a commit are there and nothing else of it', kill: { point: 'after-commit' } },
  {
    what: 'the leaves of a result are written and no checkpoint is',
    kill: { point: 'before-checkpoint', since: 'after-commit' },
  },
  { what: 'the bodies of a round are published and no manifest is', kill: { point: 'before-manifest' } },
])('the coordinator killed where $what comes back to a whole log', { timeout }, async ({ kill }) => {
  const { run, place } = await federation.play({ coordinator: kill, run: 1 });
  expect(run).toMatchObject({ state: 'finished', roundsCommitted: 1 });
  const log = join(place.home('coordinator'), 'log');
  const argv = ['log', 'verify', log, '--run', run.id, '--recompute', '--model', federation.modelPath];
  const { status, stdout, stderr } = await runWeft([...argv, '--adapter', run.adapterSha256!]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toContain(`they make adapter ${run.adapterSha256}`);
  expect(stdout).not.toContain('no access');
});

test.concurrent.each([
  {
    what: 'the coordinator, a day ahead, and a node a day behind and set forward by two in the session',
    skew: { coordinator: { fromStart: dayMs }, amina: { fromStart: -dayMs, later: 2 * dayMs } },
  },
  { what: 'the coordinator, a day behind', skew: { coordinator: { fromStart: -dayMs } } },
  { what: 'the coordinator, set forward by a day in the session', skew: { coordinator: { later: dayMs } } },
  {
    what: 'the coordinator, set back by a day in the session, and a node a day ahead',
    skew: { coordinator: { later: -dayMs }, amina: { fromStart: dayMs } },
  },
])('a secure round does not mind a clock that is off: $what', { timeout }, async ({ skew }) => {
  const { run, place } = await federation.play({ skew: new Map(Object.entries(skew)) });
  expect(run).toMatchObject({ state: 'finished', roundsCommitted: 1, adapterSha256: unbroken.adapterSha256 });
  for (const name of names) expect(await payloadsSent(place.home(name))).toBe(1);
});

test.concurrent.each([
  { what: 'ahead', before: 0, after: dayMs },
  { what: 'behind', before: dayMs, after: 0 },
])('the coordinator goes on when it comes back with a clock a day $what', { timeout }, async ({ before, after }) => {
  const { run } = await federation.play({
    coordinator: { point: 'after-shares-row', passing: 2 },
    skew: new Map([['coordinator', { fromStart: before, again: after }]]),
  });
  expect(run).toMatchObject({ state: 'finished', roundsCommitted: 1, adapterSha256: unbroken.adapterSha256 });
});

test.concurrent.each(['keyAdvert', 'shares', 'maskedInput', 'cutAck', 'opening'])(
  'a node killed with its %s written down but not sent comes back, says the same bytes, and is still in the sum',
  { timeout },
  async (message) => {
    const { run, place, said } = await federation.play({ nodes: new Map([['bruno', message]]) });
    expect(run).toMatchObject({ state: 'finished', roundsCommitted: 1, adapterSha256: unbroken.adapterSha256 });
    expect(run.roundsDone).toHaveLength(1);
    expect(run.roundsDone[0]).toMatchObject({ round: 0, contributors: 3 });
    expect(await payloadsSent(place.home('bruno'))).toBe(1);
    const bodies = Map.groupBy(said.get('bruno')!, ({ name }) => name);
    expect([...bodies.keys()]).toEqual(['keyAdvert', 'shares', 'maskedInput', 'cutAck', 'opening']);
    for (const [name, each] of bodies) {
      expect(new Set(each.map(({ sha256 }) => sha256)).size, name).toBe(1);
      // Once before it was killed, and for its last word again after it.
      expect(each.length, name).toBeGreaterThan(name === message ? 1 : 0);
    }
  },
);

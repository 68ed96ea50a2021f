import { readSent } from '@weft/node-agent';
import type { RunDetailView } from '@weft/shared';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ChaosFederation, setUpChaos } from './chaos-federation.ts';

const dayMs = 24 * 3600 * 1000;
const aggregation = { mode: 'secure', clipNormL2: 10, weighting: 'uniform' } as const;
const policy = { smallestCohort: 3 };

const payloadsSent = async (home: string): Promise<number> =>
  new Set((await readSent(home)).flatMap((sent) => (sent.kind === 'update' ? [sent.payloadSha256] : []))).size;

describe('the coordinator of a secure run', () => {
  let federation: ChaosFederation;
  let unbroken: RunDetailView;
  beforeAll(async () => {
    federation = await setUpChaos({ names: ['amina', 'bruno', 'chiara'], spec: { aggregation, rounds: 1 }, policy });
    ({ run: unbroken } = await federation.play());
  }, 120_000);
  afterAll(() => federation.close());

  test('ends the run after one round where nobody dies', () => {
    expect(unbroken).toMatchObject({ state: 'finished', roundsCommitted: 1 });
    expect(unbroken.roundsDone[0]).toMatchObject({ contributors: 3 });
  });

  // One round of three nodes: each point somewhere in the middle.
  test.each([
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
  ])('killed at $point goes on with the same round, to the same adapter', { timeout: 120_000 }, async (kill) => {
    const { run, nodeHomes } = await federation.play({ coordinator: kill });
    expect(run).toMatchObject({ state: 'finished', roundsCommitted: 1, adapterSha256: unbroken.adapterSha256 });
    expect(run.roundsDone).toHaveLength(1);
    expect(run.roundsDone[0]).toMatchObject({ round: 0, contributors: 3 });
    // Whatever was sent again after a break was the same masked update.
    for (const home of nodeHomes) expect(await payloadsSent(home)).toBe(1);
  });

  test.each([
    { what: 'the coordinator, a day ahead', skew: { coordinator: { fromStart: dayMs } } },
    { what: 'the coordinator, a day behind', skew: { coordinator: { fromStart: -dayMs } } },
    { what: 'the coordinator, set forward by a day in the session', skew: { coordinator: { later: dayMs } } },
    { what: 'the coordinator, set back by a day in the session', skew: { coordinator: { later: -dayMs } } },
    { what: 'a node, a day ahead', skew: { amina: { fromStart: dayMs } } },
    {
      what: 'a node, a day behind and set forward by two in the session',
      skew: { amina: { fromStart: -dayMs, later: 2 * dayMs } },
    },
  ])('does not mind a clock that is off: $what', { timeout: 120_000 }, async ({ skew }) => {
    const { run, nodeHomes } = await federation.play({ skew: new Map(Object.entries(skew)) });
    expect(run).toMatchObject({ state: 'finished', roundsCommitted: 1, adapterSha256: unbroken.adapterSha256 });
    for (const home of nodeHomes) expect(await payloadsSent(home)).toBe(1);
  });

  test.each([
    { what: 'ahead', before: 0, after: dayMs },
    { what: 'behind', before: dayMs, after: 0 },
  ])('goes on when it comes back with a clock a day $what', { timeout: 120_000 }, async ({ before, after }) => {
    const { run } = await federation.play({
      coordinator: { point: 'after-shares-row', passing: 2 },
      skew: new Map([['coordinator', { fromStart: before, again: after }]]),
    });
    expect(run).toMatchObject({ state: 'finished', roundsCommitted: 1, adapterSha256: unbroken.adapterSha256 });
  });
});

describe('a node of a secure run', () => {
  const names = ['ana', 'ben', 'eva', 'ida', 'tom'];
  let federation: ChaosFederation;
  let unbroken: RunDetailView;
  beforeAll(async () => {
    federation = await setUpChaos({
      names,
      spec: { aggregation, rounds: 1, cohort: { minimum: 4, maximum: 5 } },
      policy,
      leaseMs: 6000,
      settleMs: 3000,
    });
    ({ run: unbroken } = await federation.play());
  }, 240_000);
  afterAll(() => federation.close());

  test.each(['keyAdvert', 'shares', 'maskedInput'])(
    'killed with its %s written down but not sent is still in the sum when it comes back',
    { timeout: 120_000 },
    async (message) => {
      const { run, nodeHomes } = await federation.play({
        nodes: new Map([['tom', message]]),
      });
      expect(run).toMatchObject({ state: 'finished', roundsCommitted: 1, adapterSha256: unbroken.adapterSha256 });
      expect(run.roundsDone[0]).toMatchObject({ contributors: 5 });
      expect(await payloadsSent(nodeHomes.at(-1)!)).toBe(1);
    },
  );
});

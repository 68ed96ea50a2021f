import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeBody } from './bodies.ts';
import { cohortSizes, type CohortSizes, maxCohort, tellingMs } from './sizes.ts';

const options = { colludingShare: 1000, droppingShare: 3000, leastColluders: 1 };
const sizesOf = (members: number, changed: Partial<typeof options> = {}): CohortSizes => {
  const sizes = cohortSizes(members, { ...options, ...changed });
  if ('refusal' in sizes) throw new Error(sizes.refusal);
  return sizes;
};

describe('sizes of a cohort', () => {
  it('gives the published figures for 1,000 members in shards of 125', () => {
    expect(sizesOf(1000).shards[0]).toMatchObject({ members: 125, colluders: 39 });
    expect(sizesOf(1000, { colludingShare: 2000 }).shards[0]).toMatchObject({ members: 125, colluders: 58 });
  });

  it('keeps 2T − n above c and T within those who stay, for every size', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 3, max: 128 }),
        fc.integer({ min: 0, max: 5000 }),
        fc.integer({ min: 0, max: 5000 }),
        fc.integer({ min: 0, max: 5 }),
        (members, colludingShare, droppingShare, leastColluders) => {
          const sizes = cohortSizes(members, { colludingShare, droppingShare, leastColluders });
          if ('refusal' in sizes) return;
          expect(2 * sizes.cutThreshold - members).toBeGreaterThan(sizes.colluders);
          expect(sizes.cutThreshold).toBeLessThanOrEqual(members - sizes.dropouts);
          expect(sizes.shards).toEqual([{ members, colluders: sizes.colluders, threshold: sizes.cutThreshold }]);
        },
      ),
    );
  });

  it('withstands nobody among three of whom one may drop, and one where nobody may drop', () => {
    expect(sizesOf(3, { droppingShare: 3334 })).toMatchObject({ colluders: 0, cutThreshold: 2 });
    expect(sizesOf(3, { droppingShare: 0 })).toMatchObject({ colluders: 1, cutThreshold: 3 });
  });

  it('refuses two members, more than ten thousand, and a threshold that dropouts would break', () => {
    expect(cohortSizes(2, options)).toHaveProperty('refusal');
    expect(cohortSizes(10_001, options)).toHaveProperty('refusal');
    expect(cohortSizes(10, { ...options, droppingShare: 5000 })).toEqual({
      refusal: '10 members of whom 1 may collude need 6 to agree, and 5 may drop',
    });
  });

  it('cuts the largest cohort into shards that differ by one at most and add up', () => {
    for (const members of [129, 1000, 9_999, 10_000]) {
      const { shards } = sizesOf(members, { droppingShare: 1000 });
      expect(shards.reduce((sum, shard) => sum + shard.members, 0)).toBe(members);
      const counts = shards.map((shard) => shard.members);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      expect(Math.max(...counts)).toBeLessThanOrEqual(128);
      for (const shard of shards) expect(shard.threshold).toBeGreaterThan(shard.colluders);
    }
  });
});

it('a small cohort is told of itself in no time, the largest in a quarter of an hour at 200 megabits a second', () => {
  const advert = encodeBody('keyAdvert', {
    roundId: new Uint8Array(32),
    sessionId: new Uint8Array(32),
    index: 0,
    nodeId: new Uint8Array(16),
    shareKey: new Uint8Array(32),
    maskKey: new Uint8Array(32),
    nonce: new Uint8Array(16),
  });
  const rosterBytes = (members: number): number => {
    const adverts = Array.from({ length: members }, () => ({ body: advert, signature: new Uint8Array(64) }));
    const rosterRoot = new Uint8Array(32);
    return encodeBody('roster', { roundId: rosterRoot, sessionId: rosterRoot, index: 0, rosterRoot, adverts }).length;
  };
  expect([5, 10].map(tellingMs)).toEqual([0, 1]);
  for (const members of [1000, maxCohort]) {
    const allMs = (members * rosterBytes(members)) / 25_000;
    expect(tellingMs(members)).toBeGreaterThanOrEqual(allMs);
    expect(tellingMs(members)).toBeLessThan(allMs * 1.1);
  }
});

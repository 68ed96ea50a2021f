import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ServerEvent } from '../../src/secagg/server-state.ts';
import { Rehearsal, type Wire } from './rehearsal.ts';

type Stage = ServerEvent['kind'];
const stages = ['keyAdvert', 'shares', 'maskedInput', 'cutAck', 'opening'] as const;

/** From its stage on nothing of these nodes arrives. */
const dropping =
  (gone: ReadonlyMap<number, Stage>): Wire =>
  ({ node, event, to }) => {
    const stage = gone.get(node);
    if (to === 'node' || stage === undefined) return [event];
    const order: readonly string[] = stages;
    return order.indexOf(event.kind) >= order.indexOf(stage) ? [] : [event];
  };

function expectExact(rehearsal: Rehearsal): readonly number[] {
  const outcome = rehearsal.outcome();
  if (outcome?.kind !== 'finished') throw new Error(outcome?.reason ?? 'no outcome');
  expect(rehearsal.sum).toEqual(rehearsal.exactSum(outcome.summed));
  return outcome.summed;
}

describe('a session of secure aggregation', () => {
  it('sums exactly with nobody dropped, in rings of each width', () => {
    for (const bits of [8, 11, 16, 17, 32]) {
      const rehearsal = new Rehearsal({ members: 5, bits, words: 40 }).run();
      expect(expectExact(rehearsal)).toHaveLength(5);
    }
  });

  it('sums the survivors exactly whoever drops at whichever stage, up to the threshold', () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 3, max: 12 })
          .chain((members) =>
            fc.tuple(
              fc.constant(members),
              fc.uniqueArray(fc.integer({ min: 0, max: members - 1 }), { maxLength: Math.floor(0.3 * members) }),
              fc.array(fc.constantFrom(...stages), { minLength: members, maxLength: members }),
            ),
          ),
        ([members, gone, when]) => {
          const plan = new Map(gone.map((node) => [node, when[node]!]));
          const rehearsal = new Rehearsal({ members }, dropping(plan)).run();
          const summed = expectExact(rehearsal);
          const inputs = members - gone.filter((node) => stages.indexOf(when[node]! as never) <= 2).length;
          expect(summed).toHaveLength(inputs);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('aborts with a reason when more drop than the threshold allows, at each stage', () => {
    for (const stage of stages) {
      const gone = new Map(Array.from({ length: 6 }, (_, node) => [node, stage]));
      const outcome = new Rehearsal({ members: 10, offer: { minMembers: 5 } }, dropping(gone)).run().outcome();
      expect(outcome).toMatchObject({ kind: 'aborted', reason: expect.stringMatching(/\d|member/) });
    }
  });

  it('sums a cohort in shards exactly, with dropouts in each', () => {
    const members = 150;
    const gone = new Map([2, 30, 77, 101, 149].map((node, k) => [node, stages[k]!]));
    const rehearsal = new Rehearsal({ members, words: 3 }, dropping(gone)).run();
    expect(expectExact(rehearsal)).toHaveLength(members - 3);
    expect(rehearsal.server.session!.shards).toHaveLength(2);
  });
});

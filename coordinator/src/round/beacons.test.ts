import { createSeededRandom, secagg, sha256, toNodeId, type NodeId } from '@weft/shared';
import { describe, expect, test } from 'vitest';
import { chooseBeacons } from './beacons.ts';
import type { Participant } from './state.ts';

const random = createSeededRandom('beacons');

/** A cohort whose members commit, of these organisations in turn. */
function cohort(members: number, organisations: readonly (string | undefined)[]) {
  const participants = new Map<NodeId, Participant>();
  for (let node = 0; node < members; node++) {
    const publicKey = sha256(`node ${node}`);
    participants.set(toNodeId(Buffer.from(publicKey, 'hex')), {
      stage: 'ready',
      offeredAt: 0,
      evaluated: false,
      announcements: 1,
      publicKey,
      organisation: organisations[node % organisations.length],
      beaconCommitment: sha256(`beacon ${node}`),
    });
  }
  const ids = [...participants.keys()];
  const choose = (silent: readonly NodeId[] = []) =>
    chooseBeacons({ participants, silentBeacons: new Set(silent) }, ids, random).map(({ beaconKey }) =>
      toNodeId(beaconKey),
    );
  return { participants, ids, choose };
}

describe('the beacons of a round', () => {
  test('are none where one session holds the cohort', () => {
    expect(cohort(secagg.maxShardMembers, ['a', 'b']).choose()).toEqual([]);
  });

  test('are of different organisations, eight at most', () => {
    for (const [count, chosen] of [
      [3, 3],
      [12, 8],
    ] as const) {
      const { participants, choose } = cohort(
        150,
        Array.from({ length: count }, (_, k) => `organisation ${k}`),
      );
      const organisations = choose().map((nodeId) => participants.get(nodeId)!.organisation);
      expect(organisations).toHaveLength(chosen);
      expect(new Set(organisations).size).toBe(chosen);
    }
  });

  test('are two where no organisation signed for anybody', () => {
    expect(cohort(150, [undefined]).choose()).toHaveLength(2);
  });

  test('are none of those that kept silent before, unless no other is left', () => {
    const { ids, choose } = cohort(130, ['a']);
    const silent = ids.slice(0, 129);
    expect(choose(silent)).toEqual([ids[129]]);
    expect(choose(ids)).toHaveLength(1);
  });
});

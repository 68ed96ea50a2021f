import { secagg, type NodeId } from '@weft/shared';
import { inRandomOrder } from './random-order.ts';
import type { Participant, RunState } from './state.ts';
import type { RoundRandom } from './turn.ts';

/** More would only add to the ways in which a session can fail: one honest beacon makes the seed random. */
const beaconsWithoutOrganisation = 2;

/**
 * Who draws the shards of a cohort above 128: of each organisation one member at most, eight in all, none that kept
 * silent before in this run unless no other is left. Members without an organisation fill up to two: what they add is
 * the word of whoever enrolled them.
 */
export function chooseBeacons(
  { participants, silentBeacons }: Pick<RunState, 'participants' | 'silentBeacons'>,
  members: readonly NodeId[],
  random: RoundRandom,
): secagg.BodyInit<'offer'>['beacons'] {
  if (members.length <= secagg.maxShardMembers) return [];
  const able = members.filter((nodeId) => participants.get(nodeId)?.beaconCommitment !== undefined);
  const spoke = able.filter((nodeId) => !silentBeacons.has(nodeId));
  const candidates = inRandomOrder(spoke.length > 0 ? spoke : able, random).map((nodeId) => participants.get(nodeId)!);
  const chosen = new Map<string, Participant>();
  for (const candidate of candidates) {
    if (chosen.size === secagg.maxBeacons) break;
    if (candidate.organisation !== undefined && !chosen.has(candidate.organisation))
      chosen.set(candidate.organisation, candidate);
  }
  for (const candidate of candidates) {
    if (chosen.size >= beaconsWithoutOrganisation) break;
    if (candidate.organisation === undefined) chosen.set(candidate.publicKey!, candidate);
  }
  return [...chosen.values()].map(({ publicKey, beaconCommitment }) => ({
    beaconKey: Buffer.from(publicKey!, 'hex'),
    commitment: Buffer.from(beaconCommitment!, 'hex'),
  }));
}

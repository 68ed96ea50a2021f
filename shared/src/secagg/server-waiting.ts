import {
  isRevoked,
  openShards,
  type ServerOptions,
  type ServerPhase,
  type ServerState,
  sharingIn,
} from './server-state.ts';
import { hex, nodeIdOf } from './session.ts';

/** For whom the coordinator's machine waits in each phase, and for how long. */

/** How long this phase may take, from its beginning. */
export function deadlineMs({ offer }: ServerOptions, { phase }: ServerState): number {
  const { advertMs, sharesMs, inputMs, cutAckMs, openingMs } = offer.deadlines;
  const limits: Record<ServerPhase, number> = {
    keys: advertMs,
    shards: advertMs,
    shares: sharesMs,
    collecting: inputMs,
    cutting: cutAckMs,
    opening: openingMs,
    unmasking: Number.POSITIVE_INFINITY,
    ended: Number.POSITIVE_INFINITY,
  };
  return limits[phase];
}

/** Places that this phase still waits for; before the roster, none is known. */
export function awaitedPlaces(state: ServerState): number[] {
  const { phase, session, shares, complaints, inputs, cut, acks, openings, badOpenings } = state;
  const members = (session?.members ?? []).map((_, place) => place);
  switch (phase) {
    case 'shares':
      return members.filter((place) => !shares.has(place) && !isRevoked(state, place));
    case 'collecting':
      return openShards(state)
        .flatMap((shard) => sharingIn(state, shard))
        .filter((place) => !inputs.has(place) && !complaints.has(place) && !isRevoked(state, place));
    case 'cutting':
      return members.filter((place) => cut!.surviving[place] && !acks.has(place));
    case 'opening':
      return members.filter((place) => cut!.surviving[place] && !openings.has(place) && !badOpenings.has(place));
    default:
      return [];
  }
}

/** Node ids in hex of beacons that are awaited: with their keys before the roster is fixed, then with what they committed to. */
export function silentBeacons({ offer }: ServerOptions, { roster, adverts, reveals }: ServerState): string[] {
  return offer.beacons.flatMap(({ beaconKey }) => {
    const nodeId = hex(nodeIdOf(beaconKey));
    return (roster ? reveals.has(hex(beaconKey)) : adverts.has(nodeId)) ? [] : [nodeId];
  });
}

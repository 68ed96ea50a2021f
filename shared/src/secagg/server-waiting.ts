import { awaitedInputs, isRevoked, type ServerOptions, type ServerPhase, type ServerState } from './server-state.ts';
import { hex, nodeIdOf } from './session.ts';
import { tellingMs } from './sizes.ts';

/** For whom the coordinator's machine waits in each phase, and for how long. */

/**
 * How long this phase may take, from its beginning. Shorter than what the offer says by the time in which the next message
 * reaches everyone: until then those who answered first wait for it.
 */
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
  return Math.max(limits[phase] / 2, limits[phase] - tellingMs(offer.maxMembers));
}

/** Places that this phase still waits for, one by one: mostly the first is asked for. Before the roster, none is known. */
export function* awaitedPlaces(state: ServerState): Generator<number, undefined> {
  const { phase, session, shares, inputs, complaints, cut, acks, openings, badOpenings } = state;
  const hasCome: Partial<Record<ServerPhase, (place: number) => boolean>> = {
    shares: (place) => shares.has(place) || isRevoked(state, place),
    collecting: (place) => inputs.has(place) || complaints.has(place) || isRevoked(state, place),
    cutting: (place) => !cut!.surviving[place] || acks.has(place),
    opening: (place) => !cut!.surviving[place] || openings.has(place) || badOpenings.has(place),
  };
  const isDone = hasCome[phase];
  if (!isDone) return;
  const places = phase === 'collecting' ? awaitedInputs(state) : (session?.members ?? []).keys();
  for (const place of places) if (!isDone(place)) yield place;
}

/** Of one place, whose upload asks again at each of its pieces. */
export const awaitsInput = (state: ServerState, place: number): boolean =>
  state.phase === 'collecting' &&
  awaitedInputs(state).includes(place) &&
  !state.inputs.has(place) &&
  !state.complaints.has(place) &&
  !isRevoked(state, place);

/** Node ids in hex of beacons that are awaited: with their keys before the roster is fixed, then with what they committed to. */
export function silentBeacons({ offer }: ServerOptions, { roster, adverts, reveals }: ServerState): string[] {
  return offer.beacons.flatMap(({ beaconKey }) => {
    const nodeId = hex(nodeIdOf(beaconKey));
    return (roster ? reveals.has(hex(beaconKey)) : adverts.has(nodeId)) ? [] : [nodeId];
  });
}

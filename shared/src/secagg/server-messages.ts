import { inclusionProof, leafHash } from '../merkle-tree.ts';
import { encodeBody, noPlace, roundIdOf } from './bodies.ts';
import { placesOf } from './node-secrets.ts';
import type { ServerMessage, ServerOptions, ServerState } from './server-state.ts';
import { openShards, sharingIn } from './server-state.ts';
import { hex, noShardSeed } from './session.ts';

/** Everything that the coordinator says follows from its state: who reconnects is told the same bytes again. */

export const offerOf = ({ offer }: ServerOptions): Uint8Array => encodeBody('offer', offer);

/** Of a message to the whole cohort: it carries the session id of the first shard, zeros before there is one. */
export const headerOf = (
  options: ServerOptions,
  state: ServerState,
  sessionId = cohortSession(state),
  index = noPlace,
) => ({
  roundId: roundIdOf(offerOf(options)),
  sessionId,
  index,
});
const cohortSession = ({ session }: ServerState): Uint8Array => session?.shards[0]?.sessionId ?? noShardSeed;

/** What all invited nodes are told in this phase. */
export function messagesToAll(options: ServerOptions, state: ServerState): ServerMessage[] {
  switch (state.phase) {
    case 'keys':
      return [{ name: 'offer', body: offerOf(options) }];
    case 'shards':
      return [rosterMessage(options, state)];
    case 'shares':
      return state.session!.shards.length === 1
        ? [rosterMessage(options, state)]
        : [rosterMessage(options, state), shardSeedMessage(options, state)];
    default:
      return [];
  }
}

/** What the member at this place is told in this phase, beyond what all are. */
export function messageTo(options: ServerOptions, state: ServerState, place: number): ServerMessage | undefined {
  switch (state.phase) {
    case 'collecting':
      return deliveryMessage(options, state, place);
    case 'cutting':
      return state.cut!.surviving[place] ? cutMessage(state, place) : undefined;
    case 'opening':
      return state.cut!.surviving[place] ? unmaskMessage(options, state) : undefined;
    default:
      return undefined;
  }
}

function rosterMessage(options: ServerOptions, state: ServerState): ServerMessage {
  const { adverts, root } = state.roster!;
  return {
    name: 'roster',
    body: encodeBody('roster', { ...headerOf(options, state, noShardSeed), rosterRoot: root, adverts: [...adverts] }),
  };
}

function shardSeedMessage(options: ServerOptions, state: ServerState): ServerMessage {
  const reveals = options.offer.beacons.map(({ beaconKey }) => state.reveals.get(hex(beaconKey))!);
  return { name: 'shardSeed', body: encodeBody('shardSeed', { ...headerOf(options, state, noShardSeed), reveals }) };
}

function deliveryMessage(options: ServerOptions, state: ServerState, place: number): ServerMessage | undefined {
  const shard = openShards(state).find(({ places }) => places.includes(place));
  if (!shard || !state.shares.has(place)) return undefined;
  const among = sharingIn(state, shard);
  const rank = shard.places.indexOf(place);
  const sharing = state.session!.members.map((_, other) => among.includes(other));
  const sealed = among.map((dealer) => state.shares.get(dealer)!.body.sealed[rank]!);
  const header = headerOf(options, state, shard.sessionId, place);
  return { name: 'shareDelivery', body: encodeBody('shareDelivery', { ...header, sharing, sealed }) };
}

function cutMessage({ cut, inputs }: ServerState, place: number): ServerMessage {
  const summed = placesOf(cut!.surviving);
  const leaves = summed.map((other) => leafHash(inputs.get(other)!.body));
  const rank = summed.indexOf(place);
  return { name: 'cut', body: cut!.bytes, proof: { place: rank, proof: inclusionProof(leaves, rank) } };
}

function unmaskMessage(options: ServerOptions, state: ServerState): ServerMessage {
  const acks = [...state.acks].toSorted(([a], [b]) => a - b).map(([index, signature]) => ({ index, signature }));
  const body = encodeBody('unmask', { ...headerOf(options, state), cutHash: state.cut!.hash, acks });
  return { name: 'unmask', body };
}

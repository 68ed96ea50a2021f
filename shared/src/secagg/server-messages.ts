import { inclusionProofs, leafHash } from '../merkle-tree.ts';
import { encodeBody, noPlace, roundIdOf } from './bodies.ts';
import { sha256Bytes } from './keys.ts';
import { placesOf } from './node-secrets.ts';
import type { ServerMessage, ServerOptions, ServerState } from './server-state.ts';
import { openShards, sharingIn } from './server-state.ts';
import { hex, noShardSeed, type Shard } from './session.ts';

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

/** What single members are told in this phase, beyond what all are. What they share is made once. */
export function messagesToEach(
  options: ServerOptions,
  state: ServerState,
): (ServerMessage & { readonly place: number })[] {
  switch (state.phase) {
    case 'collecting':
      return openShards(state).flatMap((shard) => deliveriesIn(options, state, shard));
    case 'cutting':
      return cutMessages(state);
    case 'opening': {
      const message = unmaskMessage(options, state);
      return placesOf(state.cut!.surviving).map((place) => ({ place, ...message }));
    }
    default:
      return [];
  }
}

/** Of these, what the member at one place is told. */
export function messageTo(options: ServerOptions, state: ServerState, place: number): ServerMessage | undefined {
  const shard =
    state.phase === 'collecting' ? openShards(state).find(({ places }) => places.includes(place)) : undefined;
  const messages = shard ? deliveriesIn(options, state, shard, [place]) : messagesToEach(options, state);
  const own = messages.find((message) => message.place === place);
  if (!own) return undefined;
  const { place: _place, ...message } = own;
  return message;
}

/** What answered the input of the member at this place: it is said again, before the cut, to one that may have missed it. */
export function receiptTo(options: ServerOptions, state: ServerState, place: number): ServerMessage | undefined {
  const input = state.inputs.get(place);
  const loggedByMs = state.promised.get(place);
  if (!input || loggedByMs === undefined) return undefined;
  const header = headerOf(options, state, state.session!.shardOf[place]!.sessionId, place);
  const body = encodeBody('receipt', { ...header, maskedInputHash: sha256Bytes(input.body), loggedByMs });
  return { name: 'receipt', body };
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

/** @param to places in the shard; all whose shares came unless told */
function deliveriesIn(options: ServerOptions, state: ServerState, shard: Shard, to?: readonly number[]) {
  const among = sharingIn(state, shard);
  const receivers = to?.filter((place) => among.includes(place)) ?? among;
  const sharing = state.session!.members.map(() => false);
  for (const place of among) sharing[place] = true;
  return receivers.map((place) => {
    const rank = shard.places.indexOf(place);
    const sealed = among.map((dealer) => state.shares.get(dealer)!.body.sealed[rank]!);
    const header = headerOf(options, state, shard.sessionId, place);
    return {
      place,
      name: 'shareDelivery' as const,
      body: encodeBody('shareDelivery', { ...header, sharing, sealed }),
    };
  });
}

// After a restart of the coordinator every survivor asks for its own.
const cutProofs = new WeakMap<NonNullable<ServerState['cut']>, readonly Uint8Array[][]>();

function cutMessages({ cut, inputs }: ServerState) {
  const summed = placesOf(cut!.surviving);
  const proofs = cutProofs.get(cut!) ?? inclusionProofs(summed.map((place) => leafHash(inputs.get(place)!.body)));
  cutProofs.set(cut!, proofs);
  return summed.map((place, rank) => ({
    place,
    name: 'cut' as const,
    body: cut!.bytes,
    proof: { place: rank, proof: proofs[rank]! },
  }));
}

function unmaskMessage(options: ServerOptions, state: ServerState): ServerMessage {
  const acks = [...state.acks].toSorted(([a], [b]) => a - b).map(([index, signature]) => ({ index, signature }));
  const body = encodeBody('unmask', { ...headerOf(options, state), cutHash: state.cut!.hash, acks });
  return { name: 'unmask', body };
}

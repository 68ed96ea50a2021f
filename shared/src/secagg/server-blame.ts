import type { Body, Signed } from './bodies.ts';
import { sha256Bytes } from './keys.ts';
import { type Blame, type ServerState, sharingIn } from './server-state.ts';
import { hex, sameBytes, type Shard } from './session.ts';

/** Whom what members signed names as a liar, while a session is under way: it is left out of the next try. */

const nodeIdAt = ({ session }: ServerState, place: number): string => hex(session!.members[place]!.advert.nodeId);

/**
 * A dealer of whom more members of its shard complain than may collude: one of them at least is honest. Fewer prove nothing
 * between a dealer and those who accuse it.
 */
export function blameOfDealer(state: ServerState, dealer: number, shard: Shard): Blame | undefined {
  const against = [...state.complaints.values()].filter(({ body }) => body.dealer === dealer);
  // Once: further complaints say the same.
  if (against.length !== shard.sizes.colluders + 1) return undefined;
  return {
    nodeId: nodeIdAt(state, dealer),
    because: `${against.length} members of its shard could not open what it dealt, ${shard.sizes.colluders} may lie`,
    evidence: [state.shares.get(dealer)!.signed, ...against.map(({ signed }) => signed)],
  };
}

/** A member whose opening holds other shares than it was dealt, and accepted. */
export function blameOfHolder(
  state: ServerState,
  {
    signed,
    ...from
  }: { readonly signed: Signed; readonly body: Body<'opening'>; readonly place: number; readonly shard: Shard },
): Blame | undefined {
  const dealer = badShare(state, from);
  if (dealer === undefined) return undefined;
  return {
    nodeId: nodeIdAt(state, from.place),
    because: `its share of member ${dealer} is not the one that was dealt`,
    evidence: [signed, state.shares.get(dealer)!.signed],
  };
}

/** The first dealer whose share, as this member opened it, does not have the hash that the dealer signed. */
function badShare(
  state: ServerState,
  { body, place, shard }: { body: Body<'opening'>; place: number; shard: Shard },
): number | undefined {
  const sharing = sharingIn(state, shard);
  const rank = shard.places.indexOf(place);
  if (body.shares.length !== sharing.length) return sharing[0];
  return sharing.find((dealer, k) => {
    const { selfShareHash, maskShareHash } = state.shares.get(dealer)!.body.sealed[rank]!;
    return !sameBytes(sha256Bytes(body.shares[k]!), state.cut!.surviving[dealer] ? selfShareHash : maskShareHash);
  });
}

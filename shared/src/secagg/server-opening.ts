import { agreeWith, maskSeed, selfMaskSeed, sha256Bytes, x25519PublicKey } from './keys.ts';
import type { MaskTerm } from './mask.ts';
import { type Blame, type ServerState, type ShardOpening, sharingIn } from './server-state.ts';
import { hex, sameBytes, type Shard } from './session.ts';
import { combineShares, weightsAtZero } from './shamir.ts';

/** From the members' shares back to the seeds of the masks, and to the name of whoever lied about its own. */

export interface Opened {
  readonly shards: readonly ShardOpening[];
  readonly blamed: readonly Blame[];
}

// Thousands of key agreements, asked for at several steps of one session: the openings that came tell them apart.
const known = new WeakMap<ServerState['openings'], { readonly of: ServerState; readonly opened: Opened }>();

/** Deterministic: a coordinator that comes back computes the same terms from the same rows. */
export function openCut(state: ServerState): Opened {
  const { session, cut, shares, openings } = state;
  const before = known.get(openings);
  if (before?.of.session === session && before?.of.cut === cut && before?.of.shares === shares) return before.opened;
  const opened = openShardsOf(state);
  known.set(openings, { of: state, opened });
  return opened;
}

function openShardsOf(state: ServerState): Opened {
  const shards: ShardOpening[] = [];
  const blamed: Blame[] = [];
  for (const { shard, openers } of openedShards(state)) {
    if (openers.length < shard.sizes.threshold) continue;
    const opened = openShard(state, shard, openers);
    if ('terms' in opened) shards.push(opened);
    else blamed.push(...opened.blamed);
  }
  return { shards, blamed };
}

/** Who is in the sum, and whose shard is left out whole since too few of it opened: without opening anything again. */
export function summedIn(state: ServerState): {
  readonly summed: readonly number[];
  readonly leftOut: readonly number[];
} {
  const placesIn = (opens: boolean): number[] =>
    openedShards(state)
      .filter(({ shard, openers }) => openers.length >= shard.sizes.threshold === opens)
      .flatMap(({ shard }) => shard.places.filter((place) => state.cut!.surviving[place]));
  return { summed: placesIn(true).toSorted((a, b) => a - b), leftOut: placesIn(false) };
}

/** Shards with survivors, and the first t of each who opened. */
const openedShards = ({ session, cut, openings }: ServerState): { shard: Shard; openers: readonly number[] }[] =>
  session!.shards
    .filter(({ places }) => places.some((place) => cut!.surviving[place]))
    .map((shard) => ({
      shard,
      openers: shard.places.filter((place) => openings.has(place)).slice(0, shard.sizes.threshold),
    }));

/** From t openings the secret of each dealer; one that misses its commitment names the dealer, not a holder. */
function openShard(
  state: ServerState,
  shard: Shard,
  openers: readonly number[],
): ShardOpening | { readonly blamed: readonly Blame[] } {
  const { session, cut, shares, openings } = state;
  const weights = weightsAtZero(openers.map((place) => shard.places.indexOf(place)));
  const sharing = sharingIn(state, shard);
  const summed = sharing.filter((place) => cut!.surviving[place]);
  const terms: MaskTerm[] = [];
  const blamed: Blame[] = [];
  for (const [k, dealer] of sharing.entries()) {
    const secret = combineShares(
      openers.map((place) => openings.get(place)!.body.shares[k]!),
      weights,
    );
    const { advert } = session!.members[dealer]!;
    const { signed, body } = shares.get(dealer)!;
    const survives = cut!.surviving[dealer] === true;
    const own = survives
      ? sameBytes(sha256Bytes(secret), body.selfCommitment)
      : sameBytes(x25519PublicKey(secret), advert.maskKey);
    if (!own) {
      blamed.push({ nodeId: hex(advert.nodeId), because: 'it dealt shares of another secret', evidence: [signed] });
    } else if (survives) {
      terms.push({ seed: selfMaskSeed(secret, shard.sessionId, dealer), sign: -1 });
    } else {
      const agree = agreeWith(secret);
      for (const member of summed) {
        // Not zero: a roster has no key of small order.
        const agreed = agree(session!.members[member]!.advert.maskKey)!;
        // The survivor added +PRG where the dropped place is above its own.
        terms.push({ seed: maskSeed(agreed, shard.sessionId, dealer, member), sign: dealer > member ? -1 : 1 });
      }
    }
  }
  return blamed.length > 0 ? { blamed } : { summed, terms };
}

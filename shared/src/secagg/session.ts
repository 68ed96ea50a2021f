import { merkleRoot, leafHash } from '../merkle-tree.ts';
import { verifySignature } from '../identity.ts';
import { sha256Bytes, digest } from './keys.ts';
import { addMask, ringWords } from './mask.ts';
import { type Body, type BodyName, decodeBody, modelHashOf, roundIdOf, type Signed } from './bodies.ts';
import { cohortSizes, type CohortSizes, maxShardMembers, type ShardSizes, type SizeOptions } from './sizes.ts';

/** A node as the log's Enrol leaves name it: by the organisation that signed for it. */
export interface Enrolled {
  /** Ed25519, 32 bytes. */
  readonly identityKey: Uint8Array;
  /** The reader's policy lists the key of the organisation that enrolled this node. */
  readonly trusted: boolean;
  /** That organisation's key in hex, where its signature was checked; a member without one counts for none. */
  readonly organisation?: string | undefined;
}

/** Enrolments up to the Offer's checkpoint that no Revoke leaf took back, by node id in hex. */
export type Directory = ReadonlyMap<string, Enrolled>;

/** SHA-256 of the identity key, the first 16 bytes. */
export const nodeIdOf = (identityKey: Uint8Array): Uint8Array => sha256Bytes(identityKey).subarray(0, 16);

/** Signs and verifies over `weft/1/secagg` ‖ 0x00 ‖ SHA-256(body). */
export const signedMessage = (body: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from('weft/1/secagg\0'), sha256Bytes(body)]);

export const verifySigned = ({ body, signature }: Signed, identityKey: Uint8Array): boolean =>
  verifySignature(identityKey, signedMessage(body), signature);

export interface Member {
  readonly advert: Body<'keyAdvert'>;
  readonly identityKey: Uint8Array;
  readonly trusted: boolean;
  readonly organisation?: string | undefined;
}

export interface Shard {
  /** Places in the roster, ascending; x of Shamir's polynomial is the rank here + 1. */
  readonly places: readonly number[];
  readonly sizes: ShardSizes;
  readonly sessionId: Uint8Array;
}

/** What each member works out itself from the Offer, the Roster and the beacons. */
export interface Session {
  readonly roundId: Uint8Array;
  readonly rosterRoot: Uint8Array;
  readonly members: readonly Member[];
  readonly sizes: CohortSizes;
  readonly shards: readonly Shard[];
  /** By place. */
  readonly shardOf: readonly Shard[];
}

/** RFC 6962 over the adverts' bodies in order of node id. */
export const rosterRootOf = (adverts: readonly Signed[]): Uint8Array =>
  merkleRoot(adverts.map(({ body }) => leafHash(body)));

export const sizesOfOffer = (offer: SizeOptions, members: number) => cohortSizes(members, offer);

/** SHA256(r): what a node says before the offer of the 32 bytes that it may have to reveal. */
export const beaconCommitment = (random: Uint8Array): Uint8Array => sha256Bytes(random);

export const noShardSeed = new Uint8Array(32);

/** SHA256("weft/1/shard\0" ‖ roster_root ‖ all r) [own composition]. */
export const shardSeedOf = (rosterRoot: Uint8Array, randoms: readonly Uint8Array[]): Uint8Array =>
  digest('weft/1/shard', rosterRoot, ...randoms);

/** SHA256("weft/1/session\0" ‖ round_id ‖ roster_root ‖ shard_seed ‖ u32 n, m, t, T ‖ model_hash). */
function sessionIdOf(
  { roundId, rosterRoot, shardSeed }: { roundId: Uint8Array; rosterRoot: Uint8Array; shardSeed: Uint8Array },
  sizes: CohortSizes,
  shard: ShardSizes,
  modelHash: Uint8Array,
): Uint8Array {
  const numbers = Buffer.alloc(16);
  [sizes.members, shard.members, shard.threshold, sizes.cutThreshold].forEach((n, k) =>
    numbers.writeUInt32BE(n, 4 * k),
  );
  return digest('weft/1/session', roundId, rosterRoot, shardSeed, numbers, modelHash);
}

/**
 * @param offerBytes the exact body of the Offer
 * @param loaded hashes of the model that this side has loaded, not the ones that the Offer claims
 */
export function sessionOf(
  offerBytes: Uint8Array,
  {
    adverts,
    members,
    sizes,
    shardSeed,
    loaded,
  }: {
    adverts: readonly Signed[];
    members: readonly Member[];
    sizes: CohortSizes;
    shardSeed: Uint8Array;
    loaded: Parameters<typeof modelHashOf>[0];
  },
): Session {
  const roundId = roundIdOf(offerBytes);
  const rosterRoot = rosterRootOf(adverts);
  const modelHash = modelHashOf(loaded);
  const order = sizes.shards.length === 1 ? members.map((_, place) => place) : shuffle(members.length, shardSeed);
  let start = 0;
  const shards = sizes.shards.map((shard) => {
    const places = order.slice(start, start + shard.members).toSorted((a, b) => a - b);
    start += shard.members;
    return {
      places,
      sizes: shard,
      sessionId: sessionIdOf({ roundId, rosterRoot, shardSeed }, sizes, shard, modelHash),
    };
  });
  const shardOf = new Array<Shard>(members.length);
  for (const shard of shards) for (const place of shard.places) shardOf[place] = shard;
  return { roundId, rosterRoot, members, sizes, shards, shardOf };
}

/** Fisher-Yates from the last place down, each draw by rejection from PRG(seed) in 32-bit words. */
function shuffle(length: number, seed: Uint8Array): number[] {
  const order = Array.from({ length }, (_, place) => place);
  // Rejection takes less than one word more in 2¹⁸ draws of at most 10,000; twice as many words never run out.
  const words = ringWords(32, 2 * length + maxShardMembers);
  addMask(words, seed, 1);
  let at = 0;
  for (let last = length - 1; last > 0; last--) {
    const limit = 2 ** 32 - (2 ** 32 % (last + 1));
    while (words[at]! >= limit) at++;
    const chosen = words[at++]! % (last + 1);
    [order[last], order[chosen]] = [order[chosen]!, order[last]!];
  }
  return order;
}

/** Bodies that arrive signed, opened only after the signature holds. @returns undefined where either does not hold */
export function openSigned<N extends BodyName>(name: N, signed: Signed, identityKey: Uint8Array): Body<N> | undefined {
  if (!verifySigned(signed, identityKey)) return undefined;
  try {
    return decodeBody(name, signed.body);
  } catch {
    return undefined;
  }
}

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

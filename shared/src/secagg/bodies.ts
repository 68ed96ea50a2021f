import { WeftError } from '../errors/weft-error.ts';
import {
  bitmap,
  decode,
  encode,
  f64,
  fixed,
  list,
  sized,
  struct,
  u16,
  u32,
  u64,
  u8,
  type ValueOf,
} from './byte-layout.ts';
import { digest, sha256Bytes } from './keys.ts';
import { maxCohort, maxShardMembers } from './sizes.ts';

/** Every body that is signed or hashed in a session. `docs/secagg-wire.md` fixes each byte and is held against this file. */

export const wireVersion = 1;
/** Places in the roster stop at 9,999; this one stands for the coordinator, for all, and for a place not yet known. */
export const noPlace = 0xffff_ffff;
export const maxBeacons = 8;
/** RFC 6962 paths in a tree of 2⁶³ leaves at most. */
const maxPath = 63;
/** The largest body: a Shares or ShareDelivery of 128 members is 18 KiB, a KeyAdvert under 200 bytes. */
const maxBodyBytes = 64 * 1024;

const hash = fixed(32);
const signature = fixed(64);
const header = { version: u16, type: u8, roundId: hash, sessionId: hash, index: u32 };

/** A body and the Ed25519 signature over domain ‖ 0x00 ‖ SHA-256(body). */
export const signedLayout = struct({ body: sized(maxBodyBytes), signature });
export type Signed = ValueOf<typeof signedLayout>;

/** Durations in milliseconds, each from the message before it, on the reader's own monotonic clock. */
const deadlines = struct({ advertMs: u32, sharesMs: u32, inputMs: u32, cutAckMs: u32, openingMs: u32 });

/** For one receiver: SHA-256 of both shares, and AES-256-GCM over self-mask share ‖ mask-key share. */
const sealedShares = struct({ selfShareHash: hash, maskShareHash: hash, ciphertext: fixed(80) });
export type SealedShares = ValueOf<typeof sealedShares>;

export const bodies = {
  offer: {
    type: 1,
    layout: struct({
      ...header,
      runId: fixed(16),
      round: u32,
      previousResult: hash,
      logSize: u64,
      logRoot: hash,
      specHash: hash,
      baseHash: hash,
      adapterHash: hash,
      layoutHash: hash,
      words: u32,
      bits: u8,
      scale: f64,
      clipNormL2: f64,
      weightCap: u32,
      noiseMultiplier: f64,
      noisyHonest: u32,
      minMembers: u32,
      maxMembers: u32,
      colludingShare: u16,
      droppingShare: u16,
      leastColluders: u16,
      smallestSurvivors: u32,
      beacons: list(struct({ beaconKey: hash, commitment: hash }), maxBeacons),
      deadlines,
    }),
  },
  keyAdvert: {
    type: 2,
    layout: struct({ ...header, nodeId: fixed(16), shareKey: hash, maskKey: hash, nonce: fixed(16) }),
  },
  roster: { type: 3, layout: struct({ ...header, rosterRoot: hash, adverts: list(signedLayout, maxCohort) }) },
  reveal: { type: 4, layout: struct({ ...header, rosterRoot: hash, random: hash }) },
  shardSeed: { type: 5, layout: struct({ ...header, reveals: list(signedLayout, maxBeacons) }) },
  shares: {
    type: 6,
    layout: struct({
      ...header,
      selfCommitment: hash,
      sealed: list(sealedShares, maxShardMembers),
    }),
  },
  shareDelivery: {
    type: 7,
    layout: struct({
      ...header,
      sharing: bitmap(maxCohort),
      sealed: list(sealedShares, maxShardMembers),
    }),
  },
  maskedInput: { type: 8, layout: struct({ ...header, sharingHash: hash, chunkRoot: hash, lengthBytes: u64 }) },
  receipt: { type: 9, layout: struct({ ...header, maskedInputHash: hash, loggedByMs: u64 }) },
  cut: {
    type: 10,
    layout: struct({ ...header, surviving: bitmap(maxCohort), dropped: bitmap(maxCohort), inputRoot: hash }),
  },
  cutAck: { type: 11, layout: struct({ ...header, cutHash: hash }) },
  unmask: {
    type: 12,
    layout: struct({ ...header, cutHash: hash, acks: list(struct({ index: u32, signature }), maxCohort) }),
  },
  opening: { type: 13, layout: struct({ ...header, cutHash: hash, shares: list(hash, maxShardMembers) }) },
  complaint: { type: 14, layout: struct({ ...header, dealer: u32, reason: u8 }) },
  abort: { type: 15, layout: struct({ ...header, reason: u8 }) },
} as const;

/** What goes beside a signed cut to each survivor: the way from its own input to the cut's root. */
export const cutProofLayout = struct({ place: u32, proof: list(hash, maxPath) });

/** What goes beside an offer: from the log that this node has seen to the one that the offer names. */
export const logProofLayout = struct({ proof: list(hash, maxPath + 1) });

export type BodyName = keyof typeof bodies;
export type Body<N extends BodyName> = ValueOf<(typeof bodies)[N]['layout']>;
/** What a caller gives: version and type follow from the name. */
export type BodyInit<N extends BodyName> = Omit<Body<N>, 'version' | 'type'>;

export function encodeBody<N extends BodyName>(name: N, value: BodyInit<N>): Uint8Array {
  const { layout, type } = bodies[name];
  return encode<unknown>(layout, { version: wireVersion, type, ...value });
}

/** @throws WEFT_SECAGG_MALFORMED for other bytes than the one encoding of a body of this name */
export function decodeBody<N extends BodyName>(name: N, bytes: Uint8Array): Body<N> {
  const { layout, type } = bodies[name];
  const body = decode<unknown>(layout, bytes) as Body<N>;
  if (body.version !== wireVersion || body.type !== type) {
    throw new WeftError(
      'WEFT_SECAGG_MALFORMED',
      `a body of version ${body.version} and type ${body.type}, where version ${wireVersion} and type ${type} (${name}) belong`,
    );
  }
  return body;
}

/** SHA256("weft/1/round\0" ‖ Offer). */
export const roundIdOf = (offer: Uint8Array): Uint8Array => digest('weft/1/round', offer);

/** SHA256(base ‖ adapter ‖ layout). */
export const modelHashOf = ({ baseHash, adapterHash, layoutHash }: ModelHashes): Uint8Array =>
  sha256Bytes(Buffer.concat([baseHash, adapterHash, layoutHash]));
export interface ModelHashes {
  readonly baseHash: Uint8Array;
  readonly adapterHash: Uint8Array;
  readonly layoutHash: Uint8Array;
}

import { decodeBody, encodeBody, type SealedShares, type Signed } from './bodies.ts';
import {
  type Agree,
  agreeWith,
  digest,
  hkdf,
  keyInfo,
  keyPairOf,
  maskSeed,
  openSealed,
  seal,
  selfMaskSeed,
  sha256Bytes,
  shareKey,
} from './keys.ts';
import type { MaskTerm } from './mask.ts';
import type { NodeKnowledge } from './node-checks.ts';
import type { Secrets } from './node-state.ts';
import { splitSecret } from './shamir.ts';
import { hex, type Member, noShardSeed, sameBytes, type Session, type Shard, verifySigned } from './session.ts';

/** Values that both sides of a session work out in the same way. */

/** All secrets of a session follow from one, so that a replay of the journal makes them again. */
export function deriveSecrets(seed: Uint8Array): Secrets {
  const secret = (label: string): Uint8Array => hkdf(seed, new Uint8Array(32), Buffer.from(`weft/1/secret/${label}`));
  return { seed, share: keyPairOf(secret('share')), mask: keyPairOf(secret('mask')), self: secret('self') };
}

/** @returns undefined where an advert does not parse or its node is not enrolled */
export function membersOf(
  adverts: readonly Signed[],
  { directory }: Pick<NodeKnowledge, 'directory'>,
): Member[] | undefined {
  const members: Member[] = [];
  for (const { body } of adverts) {
    try {
      const advert = decodeBody('keyAdvert', body);
      const enrolled = directory.get(hex(advert.nodeId));
      if (!enrolled) return undefined;
      members.push({ advert, ...enrolled });
    } catch {
      return undefined;
    }
  }
  return members;
}

/** Where a node stands in a session. */
interface Standing {
  readonly session: Session;
  readonly shard: Shard;
  readonly place: number;
}
/** A key that agrees with everyone on the same: its member's place. */
interface SmallOrder {
  readonly smallOrder: number;
}

/** Both secrets for every member of the shard, this node included. */
export function dealShares(secrets: Secrets, { session, shard, place }: Standing): SealedShares[] | SmallOrder {
  const { threshold } = shard.sizes;
  const deal = (secret: Uint8Array, label: string): Uint8Array[] =>
    splitSecret(secret, {
      threshold,
      shares: shard.places.length,
      coefficients: hkdf(secrets.seed, shard.sessionId, Buffer.from(`weft/1/secret/${label}`), 32 * (threshold - 1)),
    });
  const selfShares = deal(secrets.self, 'self-shares');
  const maskShares = deal(secrets.mask.secret, 'mask-shares');
  const sealed: SealedShares[] = [];
  const agree = agreeWith(secrets.share.secret);
  for (const [rank, other] of shard.places.entries()) {
    const agreed = agree(session.members[other]!.advert.shareKey);
    if (!agreed) return { smallOrder: other };
    sealed.push({
      selfShareHash: sha256Bytes(selfShares[rank]!),
      maskShareHash: sha256Bytes(maskShares[rank]!),
      ciphertext: seal(
        shareKey(agreed, shard.sessionId, place, other),
        Buffer.concat([selfShares[rank]!, maskShares[rank]!]),
      ),
    });
  }
  return sealed;
}

/** What masks this node's update: a seed of its own, and one with each other member whose shares came. */
export function maskTerms(
  secrets: Secrets,
  { session, shard, place }: Standing,
  sharing: readonly number[],
): MaskTerm[] | SmallOrder {
  const agree = agreeWith(secrets.mask.secret);
  const terms: MaskTerm[] = [{ seed: selfMaskSeed(secrets.self, shard.sessionId, place), sign: 1 }];
  for (const other of sharing) {
    if (other === place) continue;
    const agreed = agree(session.members[other]!.advert.maskKey);
    if (!agreed) return { smallOrder: other };
    terms.push({ seed: maskSeed(agreed, shard.sessionId, place, other), sign: other > place ? 1 : -1 });
  }
  return terms;
}

export function openShares(
  { selfShareHash, maskShareHash, ciphertext }: SealedShares,
  dealer: number,
  { session, shard, place, agree }: Standing & { readonly agree: Agree },
): { opens: boolean; hashesMatch: boolean; self: Uint8Array; mask: Uint8Array } {
  const agreed = agree(session.members[dealer]!.advert.shareKey);
  const plaintext = agreed && openSealed(shareKey(agreed, shard.sessionId, dealer, place), ciphertext);
  if (plaintext?.length !== 64) return { opens: false, hashesMatch: false, self: noShardSeed, mask: noShardSeed };
  const self = plaintext.subarray(0, 32);
  const mask = plaintext.subarray(32);
  const hashesMatch = sameBytes(sha256Bytes(self), selfShareHash) && sameBytes(sha256Bytes(mask), maskShareHash);
  return { opens: true, hashesMatch, self, mask };
}

/** The signature of a member on a CutAck that every other member can write down itself. */
export function ackHolds(
  session: Session,
  cutHash: Uint8Array,
  ack: { index: number; signature: Uint8Array },
): boolean {
  const member = session.members[ack.index];
  if (!member) return false;
  const body = encodeBody('cutAck', {
    roundId: session.roundId,
    sessionId: session.shardOf[ack.index]!.sessionId,
    index: ack.index,
    cutHash,
  });
  return verifySigned({ body, signature: ack.signature }, member.identityKey);
}

export const placesOf = (bits: readonly boolean[]): number[] => bits.flatMap((set, place) => (set ? [place] : []));

/** SHA256("weft/1/cut\0" ‖ Cut). */
export const cutHashOf = (cut: Uint8Array): Uint8Array => digest('weft/1/cut', cut);

/** SHA256("weft/1/sharing\0" ‖ the places of U1, u32 each). */
export const sharingHashOf = (sharing: readonly number[]): Uint8Array =>
  digest('weft/1/sharing', keyInfo('', ...sharing));

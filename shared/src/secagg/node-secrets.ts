import { decodeBody, encodeBody, type SealedShares, type Signed } from './bodies.ts';
import { type Agree, digest, hkdf, keyInfo, keyPairOf, openSealed, sha256Bytes, shareKey } from './keys.ts';
import type { NodeKnowledge } from './node-checks.ts';
import type { Secrets } from './node-state.ts';
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

export function openShares(
  { selfShareHash, maskShareHash, ciphertext }: SealedShares,
  dealer: number,
  { session, shard, place, agree }: { session: Session; shard: Shard; place: number; agree: Agree },
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

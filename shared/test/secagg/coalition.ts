import { decodeBody } from '../../src/secagg/bodies.ts';
import { sha256Bytes, x25519PublicKey } from '../../src/secagg/keys.ts';
import { deriveSecrets } from '../../src/secagg/node-secrets.ts';
import { combineShares, weightsAtZero } from '../../src/secagg/shamir.ts';
import { hex } from '../../src/secagg/session.ts';
import type { Rehearsal } from './rehearsal.ts';

/**
 * What the coordinator and the members that collude with it hold in the end: every opening that was sent, and every
 * share that a colluder could decrypt. Both secrets of one member, its self-mask and its mask key, are its update.
 */
export interface Reached {
  /** Honest nodes of whom the coalition can rebuild both secrets. */
  readonly both: readonly number[];
}

type Shares = Map<number, Uint8Array>;

/** @param among whose secrets are looked for; everyone's unless told */
export function reachedBy(rehearsal: Rehearsal, colluders: readonly number[], among?: readonly number[]): Reached {
  const both = rehearsal.nodes.flatMap((node, number) => {
    if (among?.includes(number) === false) return [];
    if (colluders.includes(number)) return [];
    const offer = node.journal.find((event) => event.kind === 'offer');
    if (offer?.kind !== 'offer') return [];
    const secrets = deriveSecrets(offer.secret!);
    const self: Shares = new Map();
    const mask: Shares = new Map();
    collect(rehearsal, { dealer: hex(secrets.share.publicKey), colluders }, self, mask);
    const threshold = thresholdOf(rehearsal, number);
    const opens = (shares: Shares, right: (secret: Uint8Array) => boolean): boolean => {
      if (shares.size < threshold) return false;
      const places = [...shares.keys()].slice(0, threshold);
      return right(
        combineShares(
          places.map((place) => shares.get(place)!),
          weightsAtZero(places),
        ),
      );
    };
    const hasSelf = opens(self, (secret) => hex(sha256Bytes(secret)) === hex(sha256Bytes(secrets.self)));
    const hasMask = opens(mask, (secret) => hex(x25519PublicKey(secret)) === hex(secrets.mask.publicKey));
    return hasSelf && hasMask ? [number] : [];
  });
  return { both };
}

const thresholdOf = ({ nodes }: Rehearsal, number: number): number => {
  const state = nodes[number]!.states.findLast(({ session }) => session !== undefined);
  return state ? state.session!.shardOf[state.place!]!.sizes.threshold : Number.POSITIVE_INFINITY;
};

/** Shares of one dealer, by rank of their holder. */
function collect(
  { nodes }: Rehearsal,
  { dealer, colluders }: { dealer: string; colluders: readonly number[] },
  self: Shares,
  mask: Shares,
): void {
  for (const [number, node] of nodes.entries()) {
    const state = node.states.findLast(({ delivery }) => delivery !== undefined);
    if (!state) continue;
    const { session, place, delivery } = state;
    const rank = session!.shardOf[place!]!.places.indexOf(place!);
    const at = delivery!.shares.findIndex((held) => hex(session!.members[held.dealer]!.advert.shareKey) === dealer);
    if (at < 0) continue;
    if (colluders.includes(number)) {
      self.set(rank, delivery!.shares[at]!.self);
      mask.set(rank, delivery!.shares[at]!.mask);
    }
    for (const { name, signed } of node.sent) {
      if (name !== 'opening') continue;
      const share = decodeBody('opening', signed.body).shares[at];
      if (!share) continue;
      // One answers for one kind: which, the coalition tries.
      if (hex(share) === hex(delivery!.shares[at]!.self)) self.set(rank, share);
      if (hex(share) === hex(delivery!.shares[at]!.mask)) mask.set(rank, share);
    }
  }
}

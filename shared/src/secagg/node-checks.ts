import { isConsistent, leafHash, rootFromInclusion, type TreeHead } from '../merkle-tree.ts';
import type { Body, ModelHashes, Signed } from './bodies.ts';
import { isUsableKey } from './keys.ts';
import { type CohortSizes, minCohortWithoutConsent } from './sizes.ts';
import {
  type Directory,
  hex,
  type Member,
  rosterRootOf,
  sameBytes,
  type Session,
  type Shard,
  verifySigned,
} from './session.ts';

/**
 * Everything that a node holds against a message before it acts on it. One table, one line of words a check: the page
 * for auditors prints it, and the tests take each check out in turn and show what a lying coordinator gains by that.
 */

/** What a node knows before a session starts, from its own disk, policy and log; nothing of it is the coordinator's word. */
export interface NodeKnowledge {
  readonly coordinatorKey: Uint8Array;
  readonly identityKey: Uint8Array;
  readonly directory: Directory;
  /** Of the bytes that this node has loaded. */
  readonly loaded: ModelHashes;
  /** The adapter that the run must offer: of the seed in the first round, of the previous Result leaf later. */
  readonly expectedAdapterHash: Uint8Array;
  /** What this node trained for: it answers no offer of another round. */
  readonly runId: Uint8Array;
  readonly round: number;
  /** The last round of this run that this node answered; −1 before the first. */
  readonly lastRound: number;
  /**
   * Of the log, as this node last saw it. An offer is fixed before it is sent, so it may name an older head where this
   * node was shown a newer one meanwhile: not older than `leastSize`, else two histories could part behind the offers.
   */
  readonly checkpoint: TreeHead & { readonly leastSize?: number | undefined };
  readonly policy: NodePolicy;
}

export interface NodePolicy {
  /** Colluders that a session must withstand. */
  readonly leastColluders: number;
  /** Trusted survivors beyond all colluders, in each shard. */
  readonly leastHonest: number;
  /** Different trusted organisations among the survivors of each shard; 0 asks for none. */
  readonly leastOrganisations: number;
  /** Members of one organisation in a cohort, as the run spec says that this node agreed to; left out: any number. */
  readonly mostOfOneOrganisation?: number | undefined;
  /** Consent to cohorts of three and four. */
  readonly acceptsSmallCohort: boolean;
  /** @returns the name of the rule that the offer breaks */
  readonly refusal?: ((offer: Body<'offer'>) => string | undefined) | undefined;
}

export interface OfferCase {
  readonly knowledge: NodeKnowledge;
  readonly signed: Signed;
  readonly offer: Body<'offer'>;
  readonly consistency: readonly Uint8Array[];
}

export interface RosterCase {
  readonly knowledge: NodeKnowledge;
  readonly offer: Body<'offer'>;
  readonly roundId: Uint8Array;
  readonly roster: Body<'roster'>;
  readonly ownAdvert: Signed;
  readonly members: readonly Member[];
  readonly sizes: CohortSizes;
}

export interface DeliveryCase {
  readonly session: Session;
  readonly shard: Shard;
  readonly place: number;
  /** Places whose shares came. */
  readonly sharing: readonly number[];
  /** Of each of them: whether its ciphertext opened, and whether what it held has the hashes that came with it. */
  readonly opened: readonly { readonly opens: boolean; readonly hashesMatch: boolean }[];
}

export interface CutCase {
  readonly knowledge: NodeKnowledge;
  readonly offer: Body<'offer'>;
  readonly signed: Signed;
  readonly session: Session;
  readonly shard: Shard;
  readonly place: number;
  readonly sharing: readonly number[];
  readonly cut: Body<'cut'>;
  readonly ownInput: Signed;
  readonly proof: { readonly place: number; readonly proof: readonly Uint8Array[] };
}

export interface UnmaskCase {
  readonly session: Session;
  readonly cut: Body<'cut'>;
  readonly ownCutHash: Uint8Array;
  readonly unmask: Body<'unmask'>;
  /** Whether an acknowledgement is that member's signature on this cut; asked last, since it takes longest. */
  readonly holds: (ack: Body<'unmask'>['acks'][number]) => boolean;
}

const distinct = (keys: readonly Uint8Array[]): boolean => new Set(keys.map(hex)).size === keys.length;
/** Different organisations of those members whose organisation the reader trusts. */
export const organisationsOf = (members: readonly (Member | undefined)[]): number =>
  new Set(members.flatMap((member) => (member?.trusted ? (member.organisation ?? []) : []))).size;
/** Members of the organisation that has most; a word that nobody gave tells members apart no more than a made-up one. */
const greatestOrganisation = (members: readonly Member[]): number =>
  Math.max(...[...Map.groupBy(members, ({ organisation }) => organisation).values()].map(({ length }) => length));
const count = (places: readonly boolean[], among: readonly number[]): number =>
  among.reduce((sum, place) => sum + (places[place] ? 1 : 0), 0);

export const nodeChecks = {
  offer: {
    /** the coordinator's signature holds */
    offerSigned: ({ signed, knowledge }: OfferCase) => verifySigned(signed, knowledge.coordinatorKey),
    /** the round is above the last one that this node answered */
    roundIsNew: ({ offer, knowledge }: OfferCase) => offer.round > knowledge.lastRound,
    /** run and round are those that this node trained for, and the previous result is the adapter that it trained from */
    roundIsOwn: ({ offer, knowledge }: OfferCase) =>
      sameBytes(offer.runId, knowledge.runId) &&
      offer.round === knowledge.round &&
      sameBytes(offer.previousResult, knowledge.loaded.adapterHash),
    /** the log only grew since this node last saw it, or at least since the last round that it saw the end of */
    logOnlyGrew: ({ offer, knowledge: { checkpoint }, consistency }: OfferCase) => {
      const offered = { size: Number(offer.logSize), root: offer.logRoot };
      if (offered.size < (checkpoint.leastSize ?? checkpoint.size)) return false;
      const [older, newer] = offered.size < checkpoint.size ? [offered, checkpoint] : [checkpoint, offered];
      return isConsistent(older, newer, consistency);
    },
    /** base model and layout are the ones that this node has loaded */
    modelIsLoaded: ({ offer, knowledge: { loaded } }: OfferCase) =>
      sameBytes(offer.baseHash, loaded.baseHash) && sameBytes(offer.layoutHash, loaded.layoutHash),
    /** the adapter follows from the run's seed, or is that of the previous result */
    adapterFollows: ({ offer, knowledge }: OfferCase) => sameBytes(offer.adapterHash, knowledge.expectedAdapterHash),
    /** the offer withstands as many colluders as this node's policy asks for */
    colludersWithstood: ({ offer, knowledge }: OfferCase) => offer.leastColluders >= knowledge.policy.leastColluders,
    /** the operator's policy allows the rest */
    withinPolicy: ({ offer, knowledge }: OfferCase) => knowledge.policy.refusal?.(offer) === undefined,
  },
  roster: {
    /** this node's own advert stands in it once, as it was sent */
    ownAdvertOnce: ({ roster, ownAdvert }: RosterCase) =>
      roster.adverts.filter(({ body }) => sameBytes(body, ownAdvert.body)).length === 1,
    /** every advert is signed by the key of an enrolled node, for this round */
    advertsSigned: ({ roster, members, roundId }: RosterCase) =>
      members.every(
        ({ advert, identityKey }, place) =>
          sameBytes(advert.roundId, roundId) && verifySigned(roster.adverts[place]!, identityKey),
      ),
    /** in order of node id, each node once */
    nodesDistinct: ({ members }: RosterCase) =>
      members.every(
        ({ advert }, place) => place === 0 || Buffer.compare(members[place - 1]!.advert.nodeId, advert.nodeId) < 0,
      ),
    /** each key is a number below 2²⁵⁵ − 19, and no point of small order */
    keysUsable: ({ members }: RosterCase) =>
      members.every(({ advert }) => isUsableKey(advert.shareKey) && isUsableKey(advert.maskKey)),
    /** no key of the session comes twice */
    keysDistinct: ({ members }: RosterCase) =>
      distinct(members.flatMap(({ advert }) => [advert.shareKey, advert.maskKey])),
    /** the root is that of these adverts */
    rootMatches: ({ roster }: RosterCase) => sameBytes(roster.rosterRoot, rosterRootOf(roster.adverts)),
    /** as many members as the offer said */
    countAsOffered: ({ offer, members }: RosterCase) =>
      members.length >= offer.minMembers && members.length <= offer.maxMembers,
    /** three or four members only with this node's consent */
    smallCohortConsented: ({ members, knowledge }: RosterCase) =>
      members.length >= minCohortWithoutConsent || knowledge.policy.acceptsSmallCohort,
    /** members of no trusted organisation all count as colluders, and the least of the policy comes on top */
    untrustedAreFew: ({ members, sizes, knowledge }: RosterCase) =>
      members.filter(({ trusted }) => !trusted).length + (members.length > 3 ? knowledge.policy.leastColluders : 0) <=
      sizes.colluders,
    /** members come from as many different trusted organisations as the policy asks for */
    organisationsPresent: ({ members, knowledge }: RosterCase) =>
      organisationsOf(members) >= knowledge.policy.leastOrganisations,
    /** no organisation has more members than the run spec lets in; those that nobody signed for count as one together */
    organisationsCapped: ({ members, knowledge: { policy } }: RosterCase) =>
      greatestOrganisation(members) <= (policy.mostOfOneOrganisation ?? Infinity),
    /** beacons of shards are members of the roster, no two of one organisation, and a trusted one is among them */
    beaconsMixed: ({ offer, members, sizes }: RosterCase) => {
      if (sizes.shards.length === 1) return true;
      const found = offer.beacons.flatMap(
        ({ beaconKey }) => members.find(({ identityKey }) => sameBytes(identityKey, beaconKey)) ?? [],
      );
      const named = found.flatMap(({ organisation }) => organisation ?? []);
      return (
        found.length === offer.beacons.length &&
        distinct(offer.beacons.map(({ beaconKey }) => beaconKey)) &&
        new Set(named).size === named.length &&
        found.some(({ trusted }) => trusted)
      );
    },
  },
  delivery: {
    /** as many members shared as open a secret */
    enoughShared: ({ sharing, shard }: DeliveryCase) => sharing.length >= shard.sizes.threshold,
    /** this node is among them, and all of them are of its shard */
    sharedInShard: ({ sharing, shard, place }: DeliveryCase) =>
      sharing.includes(place) && sharing.every((other) => shard.places.includes(other)),
    /** each ciphertext opens under the key that only its sender and this node have */
    sharesOpen: ({ opened }: DeliveryCase) => opened.every(({ opens }) => opens),
    /** what they hold has the hashes by which the server will test it */
    shareHashesMatch: ({ opened }: DeliveryCase) => opened.every(({ hashesMatch }) => hashesMatch),
  },
  cut: {
    /** the coordinator's signature holds */
    cutSigned: ({ signed, knowledge }: CutCase) => verifySigned(signed, knowledge.coordinatorKey),
    /** this node's own input is among those that are summed */
    ownInputPresent: ({ cut, place, ownInput, proof, session }: CutCase) => {
      const summed = session.members.flatMap((_, other) => (cut.surviving[other] ? [other] : []));
      const root = rootFromInclusion(leafHash(ownInput.body), {
        index: proof.place,
        size: summed.length,
        proof: proof.proof,
      });
      return cut.surviving[place] === true && summed[proof.place] === place && !!root && sameBytes(root, cut.inputRoot);
    },
    /** nobody is both summed and dropped: of one member never both secrets */
    aliveOrDead: ({ cut }: CutCase) => cut.surviving.every((alive, place) => !(alive && cut.dropped[place])),
    /** the two sets are exactly the members whose shares came */
    cutCoversShared: ({ cut, shard, sharing }: CutCase) =>
      shard.places.every(
        (place) => sharing.includes(place) === (cut.surviving[place] === true || cut.dropped[place] === true),
      ),
    /** as many survive in each shard as open a secret */
    enoughSurvive: ({ cut, session }: CutCase) =>
      session.shards.every(({ places, sizes }) => {
        const survivors = count(cut.surviving, places);
        return survivors === 0 || survivors >= sizes.threshold;
      }),
    /** in each shard trusted survivors beyond all colluders are as many as policy and noise ask for */
    honestSurvive: ({ cut, session, knowledge, offer }: CutCase) => {
      const trusted = cut.surviving.map((alive, place) => alive && session.members[place]?.trusted === true);
      const least = Math.max(knowledge.policy.leastHonest, offer.smallestSurvivors, offer.noisyHonest);
      return session.shards.every(
        ({ places, sizes }) => count(cut.surviving, places) === 0 || count(trusted, places) - sizes.colluders >= least,
      );
    },
    /** in each shard trusted survivors come from as many different organisations as the policy asks for */
    organisationsSurvive: ({ cut, session: { shards, members }, knowledge }: CutCase) =>
      shards.every(({ places }) => {
        const survivors = places.filter((place) => cut.surviving[place] === true);
        const organisations = organisationsOf(survivors.map((place) => members[place]));
        return survivors.length === 0 || organisations >= knowledge.policy.leastOrganisations;
      }),
  },
  unmask: {
    /** it is about the cut that this node signed */
    sameCut: ({ unmask, ownCutHash }: UnmaskCase) => sameBytes(unmask.cutHash, ownCutHash),
    /** no member signed twice */
    signersDistinct: ({ unmask }: UnmaskCase) =>
      new Set(unmask.acks.map(({ index }) => index)).size === unmask.acks.length,
    /** T signatures, so that no other cut can have as many */
    enoughSigned: ({ unmask, session }: UnmaskCase) => unmask.acks.length >= session.sizes.cutThreshold,
    /** every signature is that of a survivor on this cut */
    signaturesHold: ({ unmask, cut, holds }: UnmaskCase) =>
      unmask.acks.every((ack) => cut.surviving[ack.index] === true && holds(ack)),
  },
} as const;

/** The name of the first check that does not hold. */
export function failedCheck<F>(checks: Readonly<Record<string, (facts: F) => boolean>>, facts: F): string | undefined {
  return Object.entries(checks).find(([, holds]) => !holds(facts))?.[0];
}

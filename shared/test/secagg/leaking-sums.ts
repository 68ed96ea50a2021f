import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { decodeBody, encodeBody } from '../../src/secagg/bodies.ts';
import { agree, keyPairOf, maskSeed, selfMaskSeed } from '../../src/secagg/keys.ts';
import { addMasks, reduceWords, type RingWords } from '../../src/secagg/mask.ts';
import { deriveSecrets, sharingHashOf } from '../../src/secagg/node-secrets.ts';
import { sessionOf, shardSeedOf, signedMessage } from '../../src/secagg/session.ts';
import { Rehearsal, type RehearsalOptions, type Wire } from './rehearsal.ts';
import { type CheckName, victim } from './strategies.ts';

/** What the coordinator, or those who collude with it, work out from a sum once a check is gone. */
export interface LeakingSum {
  readonly check: CheckName;
  /** A check behind it that has to go as well. */
  readonly behind?: CheckName;
  readonly lie: string;
  readonly reached: string;
  readonly options: Partial<RehearsalOptions>;
  readonly wire?: Wire;
  /** Before the session begins. */
  readonly prepare?: (rehearsal: Rehearsal) => void;
  /** Fails where nothing is reached. */
  readonly reaches: (rehearsal: Rehearsal) => void;
}

const honest: Wire = ({ event }) => [event];
const label = (text: string): Uint8Array => createHash('sha256').update(text).digest();
const colluder = 4;

export const leakingSum = ({ options, wire = honest, prepare }: LeakingSum, checks?: RehearsalOptions['checks']) => {
  const rehearsal = new Rehearsal({ members: 5, ...options, ...(checks && { checks }) }, wire);
  prepare?.(rehearsal);
  return rehearsal.run();
};

const all = ({ order }: Rehearsal): number[] => order.map((_, place) => place);

/** The sum less what these put in themselves is the one update that is left. */
const subtracting =
  (colluders: readonly number[]) =>
  (rehearsal: Rehearsal): void => {
    const left = Uint32Array.from(rehearsal.sum!);
    for (const node of colluders) rehearsal.nodes[node]!.update.forEach((word, i) => (left[i]! -= word));
    expect(left).toEqual(rehearsal.nodes[victim]!.update);
  };

const secretsOf = ({ nodes }: Rehearsal, node: number) => {
  const offer = nodes[node]!.journal.find((event) => event.kind === 'offer');
  return deriveSecrets(offer?.kind === 'offer' ? offer.secret! : new Uint8Array(32));
};

/** One node is told that it shares with a colluder alone; the others, and so their openings, know nothing of it. */
const sharingWithOne: Wire = ({ node, event, to }, by) => {
  if (node !== victim) return [event];
  const partners = [by.order.indexOf(victim), by.order.indexOf(colluder)];
  if (to === 'node' && event.kind === 'shareDelivery') {
    const body = decodeBody('shareDelivery', event.body);
    const sharing = body.sharing.map((shares, place) => shares && partners.includes(place));
    return [{ ...event, body: encodeBody('shareDelivery', { ...body, sharing, sealed: sealedOf(body, partners) }) }];
  }
  if (to === 'server' && event.kind === 'maskedInput') {
    // The coordinator does not mind which members it names.
    const sharingHash = sharingHashOf(all(by));
    const body = encodeBody('maskedInput', { ...decodeBody('maskedInput', event.signed.body), sharingHash });
    return [{ ...event, signed: { body, signature: by.nodes[node]!.identity.sign(signedMessage(body)) } }];
  }
  return [event];
};

function sealedOf<T>(
  { sharing, sealed }: { readonly sharing: readonly boolean[]; readonly sealed: readonly T[] },
  places: readonly number[],
): T[] {
  const before = sharing.flatMap((shares, place) => (shares ? [place] : []));
  return sealed.filter((_, k) => places.includes(before[k]!));
}

/** An advert that a node signed before a crash made it forget the keys. */
const advertOfBefore: Wire = ({ node, event, to }, by) => {
  if (node !== victim || to !== 'server' || event.kind !== 'keyAdvert') return [event];
  const { publicKey } = keyPairOf(label('before the crash'));
  const body = encodeBody('keyAdvert', { ...decodeBody('keyAdvert', event.signed.body), maskKey: publicKey });
  return [{ ...event, signed: { body, signature: by.nodes[node]!.identity.sign(signedMessage(body)) } }];
};

const ofHospital = (node: number): string => (node === victim ? 'library' : 'hospital');

export const leakingSums: readonly LeakingSum[] = [
  {
    check: 'smallCohortConsented',
    lie: 'a cohort of three without consent, two of them in league',
    reached: "the third one's update",
    options: { members: 3, policy: { acceptsSmallCohort: false, leastColluders: 0 } },
    reaches: subtracting([1, 2]),
  },
  {
    check: 'organisationsCapped',
    lie: 'a cohort of which one organisation has all members but one',
    reached: "that one's update",
    options: { organisationOf: ofHospital, policy: { mostOfOneOrganisation: 3 } },
    reaches: subtracting([1, 2, 3, 4]),
  },
  {
    check: 'organisationsPresent',
    behind: 'organisationsSurvive',
    lie: 'a cohort of one organisation and a member that nobody signed for',
    reached: "that member's update",
    options: {
      organisationOf: (node) => (node === victim ? undefined : 'hospital'),
      policy: { leastOrganisations: 2 },
    },
    reaches: subtracting([1, 2, 3, 4]),
  },
  {
    check: 'honestSurvive',
    lie: 'a cut of colluders and one more',
    reached: "that one's update",
    options: { policy: { leastHonest: 5 } },
    reaches: subtracting([1, 2, 3, 4]),
  },
  {
    check: 'withinPolicy',
    lie: 'a ring that is narrower than the sum needs',
    reached: 'a wrong sum that all have signed',
    options: { bits: 8, policy: { refusal: ({ bits }) => (bits < 11 ? 'bits' : undefined) } },
    prepare: ({ nodes }) => nodes.forEach(({ update }) => update.fill(200)),
    reaches: ({ sum, nodes }) => {
      const exact = nodes.reduce((total, { update }) => total + update[0]!, 0);
      expect(exact).toBe(1000);
      expect(sum![0]).toBe(exact % 256);
    },
  },
  {
    check: 'adapterFollows',
    lie: 'a crafted adapter, of which each text moves a coordinate of its own',
    reached: "every member's update, in one exact sum",
    options: { offer: { adapterHash: label('crafted') } },
    prepare: ({ nodes }) => nodes.forEach(({ update }, node) => update.fill(0).fill(1000 + node, node, node + 1)),
    reaches: ({ sum, nodes }) => nodes.forEach(({ update }, node) => expect(sum![node]).toBe(update[node])),
  },
  {
    check: 'offerSigned',
    lie: 'an offer of somebody on the line',
    reached: 'the sum, in the hands of a stranger',
    options: {},
    wire: ({ event, to }, by) => {
      if (to !== 'node' || event.kind !== 'offer') return [event];
      const { body } = event.signed;
      return [{ ...event, signed: { body, signature: by.nodes[colluder]!.identity.sign(signedMessage(body)) } }];
    },
    reaches: (rehearsal) => expect(rehearsal.sum).toEqual(rehearsal.exactSum(all(rehearsal))),
  },
  {
    check: 'ownAdvertOnce',
    lie: "a node's own advert of before a crash, in its own and everybody's roster",
    reached: 'a wrong sum that all have signed',
    options: {},
    wire: advertOfBefore,
    reaches: (rehearsal) => {
      expect(rehearsal.outcome()).toMatchObject({ kind: 'finished', summed: all(rehearsal) });
      expect(rehearsal.sum).not.toEqual(rehearsal.exactSum(all(rehearsal)));
    },
  },
  {
    check: 'enoughShared',
    lie: 'one node is told that it shares with a colluder alone',
    reached: "that node's update",
    options: {},
    wire: sharingWithOne,
    reaches: (rehearsal) => {
      // The others' openings gave the coordinator this node's self-mask, its colluder knows the only other mask.
      expect(rehearsal.outcome()?.kind).toBe('finished');
      const { session, place } = rehearsal.nodes[victim]!.states.findLast((state) => state.delivery !== undefined)!;
      const { sessionId } = session!.shardOf[place!]!;
      const other = rehearsal.order.indexOf(colluder);
      const agreed = agree(secretsOf(rehearsal, colluder).mask.secret, session!.members[place!]!.advert.maskKey)!;
      const left = Uint32Array.from(rehearsal.nodes[victim]!.masked!) as RingWords;
      addMasks(left, [
        { seed: selfMaskSeed(secretsOf(rehearsal, victim).self, sessionId, place!), sign: -1 },
        { seed: maskSeed(agreed, sessionId, place!, other), sign: other > place! ? -1 : 1 },
      ]);
      reduceWords(left, rehearsal.bits);
      expect(left).toEqual(rehearsal.nodes[victim]!.update);
    },
  },
  {
    check: 'beaconsMixed',
    lie: 'beacons whose bytes the coordinator made up',
    reached: 'colluders put beside one node: by trying a few hundred draws, all of them',
    options: { members: 130, words: 1, untrusted: [0, 1] },
    // The shards are drawn; what they would then share takes long, and shows no more.
    wire: ({ event, to }) => (to === 'node' && event.kind === 'shardSeed' ? [] : [event]),
    reaches: (rehearsal) => {
      const { session } = rehearsal.server;
      const colluders = [2, 3, 4, 5, 6].map((node) => rehearsal.order.indexOf(node));
      const place = rehearsal.order.indexOf(victim);
      const { members, sizes, rosterRoot } = session!;
      const drawn = Array.from({ length: 400 }, (_, attempt) => {
        const shardSeed = shardSeedOf(rosterRoot, [label(`r ${attempt}`)]);
        const { shardOf } = sessionOf(new Uint8Array(), {
          adverts: [{ body: new Uint8Array(), signature: new Uint8Array() }],
          members,
          sizes,
          shardSeed,
          loaded: rehearsal.serverOptions.loaded,
        });
        return colluders.filter((other) => shardOf[other] === shardOf[place]).length;
      });
      expect(Math.max(...drawn)).toBe(colluders.length);
    },
  },
];

import { createHash } from 'node:crypto';
import { createIdentity } from '../../src/identity.ts';
import { inclusionProof, leafHash, merkleRoot } from '../../src/merkle-tree.ts';
import { type Body, type BodyName, decodeBody, encodeBody, noPlace, type Signed } from '../../src/secagg/bodies.ts';
import { keyPairOf, sha256Bytes } from '../../src/secagg/keys.ts';
import { nodeChecks } from '../../src/secagg/node-checks.ts';
import type { NodeEvent } from '../../src/secagg/node-state.ts';
import type { ServerEvent } from '../../src/secagg/server-state.ts';
import { hex, rosterRootOf, signedMessage } from '../../src/secagg/session.ts';
import { Rehearsal, type RehearsalOptions, type Wire } from './rehearsal.ts';

export type CheckName = { [M in keyof typeof nodeChecks]: keyof (typeof nodeChecks)[M] }[keyof typeof nodeChecks];

/** One way in which a coordinator, members that collude with it, or someone on the line may lie. */
export interface Strategy {
  readonly name: string;
  readonly options?: Partial<RehearsalOptions>;
  readonly colluders?: readonly number[];
  readonly wire: () => Wire;
  /** The check that stops it; what it reaches once that check is gone is told in the test. */
  readonly stoppedBy?: CheckName;
}

const label = (text: string): Uint8Array => createHash('sha256').update(text).digest();
const nobody = createIdentity(label('nobody')).identity;

type NodeKind = NodeEvent['kind'];
/** Changes what nodes are told, as the coordinator: the lie is signed. */
function telling<N extends BodyName & NodeKind>(
  name: N,
  lie: (body: Body<N>, node: number, rehearsal: Rehearsal) => Body<N> | undefined,
  only?: readonly number[],
): () => Wire {
  return () =>
    ({ node, event, to }, rehearsal) => {
      if (to !== 'node' || event.kind !== name || (only && !only.includes(node))) return [event];
      const { bytes, again } = open(event);
      const lied = lie(decodeBody(name, bytes), node, rehearsal);
      return lied ? [again(encodeBody(name, lied), rehearsal)] : [];
    };
}

/** A node's event, and the same with other bytes in it. */
function open(event: NodeEvent): { bytes: Uint8Array; again: (body: Uint8Array, by: Rehearsal) => NodeEvent } {
  if ('signed' in event)
    return { bytes: event.signed.body, again: (body, by) => ({ ...event, signed: by.sign(body) }) };
  if ('body' in event) return { bytes: event.body, again: (body) => ({ ...event, body }) };
  throw new TypeError(`${event.kind} carries no body`);
}

/** Another cut, with a root and a way to it that fit. */
const cutting =
  (lie: (body: Body<'cut'>, node: number, by: Rehearsal) => Body<'cut'>, only?: readonly number[]): (() => Wire) =>
  () =>
  ({ node, event, to }, by) => {
    if (to !== 'node' || event.kind !== 'cut' || (only && !only.includes(node))) return [event];
    const lied = lie(decodeBody('cut', event.signed.body), node, by);
    const summed = lied.surviving.flatMap((alive, place) => (alive ? [place] : []));
    const leaves = summed.map((place) => leafHash(by.server.inputs.get(place)!.body));
    const rank = summed.indexOf(by.order.indexOf(node));
    const body = encodeBody('cut', { ...lied, inputRoot: merkleRoot(leaves) });
    return [
      { kind: 'cut', signed: by.sign(body), proof: { place: Math.max(0, rank), proof: inclusionProof(leaves, rank) } },
    ];
  };

/** Replaces what a node sends before the server sees it. */
const hearing =
  (
    kind: ServerEvent['kind'],
    lie: (signed: Signed, node: number, rehearsal: Rehearsal) => Signed | undefined,
  ): (() => Wire) =>
  () =>
  ({ node, event, to }, rehearsal) => {
    if (to !== 'server' || event.kind !== kind || !('signed' in event)) return [event];
    const lied = lie(event.signed, node, rehearsal);
    return lied ? [{ ...event, signed: lied }] : [];
  };

const flip = (bytes: Uint8Array, at = 0): Uint8Array => bytes.with(at, bytes[at]! ^ 1);

/** The victim in a cohort of five; the last node colludes where somebody does. */
export const victim = 0;
const colluder = 4;

export const strategies: readonly Strategy[] = [
  // Offers
  {
    name: 'an offer that someone else signed',
    stoppedBy: 'offerSigned',
    wire:
      () =>
      ({ event, to }) => {
        if (to !== 'node' || event.kind !== 'offer') return [event];
        const { body } = event.signed;
        return [{ ...event, signed: { body, signature: nobody.sign(signedMessage(body)) } }];
      },
  },
  {
    name: 'an offer whose signature was stripped',
    wire:
      () =>
      ({ event, to }) =>
        to === 'node' && event.kind === 'offer'
          ? [{ ...event, signed: { ...event.signed, signature: new Uint8Array(64) } }]
          : [event],
  },
  {
    name: 'the offer of a round that was answered before',
    stoppedBy: 'roundIsNew',
    options: { offer: { round: 2 } },
    wire: () => honest,
  },
  {
    name: 'an offer in the name of a later round',
    stoppedBy: 'roundIsOwn',
    options: { offer: { round: 99 }, trainedFor: { round: 3 } },
    wire: () => honest,
  },
  {
    name: 'an offer in the name of another run',
    stoppedBy: 'roundIsOwn',
    options: { trainedFor: { runId: label('run of the nodes').subarray(0, 16) } },
    wire: () => honest,
  },
  {
    name: 'an offer after another result than its adapter is',
    stoppedBy: 'roundIsOwn',
    options: { offer: { previousResult: label('another result') } },
    wire: () => honest,
  },
  {
    name: 'a log that forked',
    stoppedBy: 'logOnlyGrew',
    options: { offer: { logRoot: label('fork') } },
    wire: () => honest,
  },
  { name: 'a log that shrank', stoppedBy: 'logOnlyGrew', options: { offer: { logSize: 0n } }, wire: () => honest },
  {
    name: 'a base model that nobody has loaded',
    stoppedBy: 'modelIsLoaded',
    options: { offer: { baseHash: label('another base') } },
    wire: () => honest,
  },
  {
    name: 'a layout that nobody has loaded',
    stoppedBy: 'modelIsLoaded',
    options: { offer: { layoutHash: label('another layout') } },
    wire: () => honest,
  },
  {
    name: 'a crafted adapter that imprints the data',
    stoppedBy: 'adapterFollows',
    options: { offer: { adapterHash: label('crafted') } },
    wire: () => honest,
  },
  {
    name: 'another model for one node than for the others',
    wire: telling('offer', (body) => ({ ...body, baseHash: label('for one') }), [victim]),
  },
  {
    name: 'another adapter for one node than for the others',
    wire: telling('offer', (body) => ({ ...body, adapterHash: label('for one') }), [victim]),
  },
  {
    name: 'a session that withstands no colluder',
    stoppedBy: 'colludersWithstood',
    options: { offer: { leastColluders: 0, colludingShare: 0 }, policy: { leastColluders: 1 } },
    wire: () => honest,
  },
  {
    name: 'an offer outside of the policy',
    stoppedBy: 'withinPolicy',
    options: { policy: { refusal: ({ bits }) => (bits === 32 ? 'bits' : undefined) } },
    wire: () => honest,
  },
  {
    name: 'thresholds out of thin air: another share of colluders for one node',
    wire: telling('offer', (body) => ({ ...body, colludingShare: 5000, droppingShare: 0 }), [victim]),
  },
  // Rosters
  {
    name: 'a roster without the node that reads it',
    stoppedBy: 'ownAdvertOnce',
    wire: telling(
      'roster',
      (body, node, by) =>
        withAdverts(
          body,
          body.adverts.filter(({ body: advert }) => !isOf(advert, node, by)),
        ),
      [victim],
    ),
  },
  {
    name: 'adverts whose keys the coordinator swapped for its own',
    stoppedBy: 'advertsSigned',
    wire: telling('roster', (body, node, by) =>
      withAdverts(
        body,
        body.adverts.map((signed) => {
          const advert = decodeBody('keyAdvert', signed.body);
          if (isOf(signed.body, node, by)) return signed;
          const swapped = {
            ...advert,
            shareKey: label(`c ${hex(signed.signature)}`),
            maskKey: label(`m ${hex(signed.signature)}`),
          };
          return { body: encodeBody('keyAdvert', swapped), signature: signed.signature };
        }),
      ),
    ),
  },
  {
    name: 'adverts of another round, replayed',
    stoppedBy: 'advertsSigned',
    wire: telling('roster', (body, node, by) =>
      withAdverts(
        body,
        body.adverts.map((signed) => {
          if (isOf(signed.body, node, by)) return signed;
          const other = { ...decodeBody('keyAdvert', signed.body), roundId: label('another round') };
          const advert = encodeBody('keyAdvert', other);
          const author = by.nodes.find((_, number) => isOf(signed.body, number, by))!;
          return { body: advert, signature: author.identity.sign(signedMessage(advert)) };
        }),
      ),
    ),
  },
  {
    name: 'one colluder at several places',
    stoppedBy: 'nodesDistinct',
    colluders: [colluder],
    wire: telling('roster', (body, _node, by) =>
      withAdverts(body, [...body.adverts, ...Array.from({ length: 3 }, (_, k) => advertOf(by, colluder, `twin ${k}`))]),
    ),
  },
  {
    name: "a colluder that copies another member's keys",
    stoppedBy: 'keysDistinct',
    colluders: [colluder],
    wire: telling('roster', (body, _node, by) => {
      const copied = decodeBody('keyAdvert', body.adverts.find(({ body: advert }) => isOf(advert, victim, by))!.body);
      return withAdverts(
        body,
        body.adverts.map((signed) =>
          isOf(signed.body, colluder, by)
            ? advertOf(by, colluder, 'copy', { shareKey: copied.shareKey, maskKey: copied.maskKey })
            : signed,
        ),
      );
    }),
  },
  ...[new Uint8Array(32), label('beyond the field').with(31, 0xff)].map((key, k): Strategy => ({
    name: `a colluder with ${k === 0 ? 'a key of small order' : 'the second encoding of a key'}, whom the coordinator lets in`,
    stoppedBy: 'keysUsable',
    colluders: [colluder],
    wire: telling('roster', (body, _node, by) =>
      withAdverts(
        body,
        body.adverts.map((signed) =>
          isOf(signed.body, colluder, by)
            ? advertOf(by, colluder, 'unusable', { shareKey: keyPairOf(label('share')).publicKey, maskKey: key })
            : signed,
        ),
      ),
    ),
  })),
  {
    name: 'a member with a key of small order',
    colluders: [colluder],
    wire: hearing('keyAdvert', (signed, node, by) =>
      node === colluder
        ? advertOf(by, node, 'small', { shareKey: new Uint8Array(32), maskKey: keyPairOf(label('mask')).publicKey })
        : signed,
    ),
  },
  {
    name: 'a root of other adverts than those that are shown',
    stoppedBy: 'rootMatches',
    wire: telling('roster', (body) => ({ ...body, rosterRoot: label('another root') })),
  },
  {
    name: 'a smaller cohort than was offered',
    stoppedBy: 'countAsOffered',
    options: { members: 7, offer: { minMembers: 7 } },
    wire: telling('roster', (body, node, by) => {
      const kept = body.adverts.filter(({ body: advert }) => isOf(advert, node, by));
      const others = body.adverts.filter((advert) => !kept.includes(advert)).slice(0, 4);
      return withAdverts(
        body,
        body.adverts.filter((advert) => kept.includes(advert) || others.includes(advert)),
      );
    }),
  },
  {
    name: 'a cohort of four without consent',
    stoppedBy: 'smallCohortConsented',
    options: { members: 4, policy: { acceptsSmallCohort: false } },
    wire: () => honest,
  },
  {
    name: 'members that the coordinator made up, of an organisation that nobody trusts',
    stoppedBy: 'untrustedAreFew',
    options: { members: 8, untrusted: [3, 4, 5, 6, 7], policy: { leastHonest: -10 }, offer: { smallestSurvivors: 0 } },
    colluders: [3, 4, 5, 6, 7],
    wire: () => honest,
  },
  {
    name: 'a cohort of one organisation alone',
    stoppedBy: 'organisationsPresent',
    options: { policy: { leastOrganisations: 2 } },
    wire: () => honest,
  },
  {
    name: 'more members of one organisation than the run lets in',
    stoppedBy: 'organisationsCapped',
    options: { policy: { mostOfOneOrganisation: 4 } },
    wire: () => honest,
  },
  {
    name: "members whose organisation's word the coordinator withholds, so that they look like several",
    stoppedBy: 'organisationsCapped',
    options: { organisationOf: (node) => (node < 2 ? 'library' : undefined), policy: { mostOfOneOrganisation: 2 } },
    wire: () => honest,
  },
  {
    name: 'a member that never enrolled',
    wire: telling('roster', (body) => withAdverts(body, [...body.adverts, strangerAdvert(body)])),
  },
  {
    name: 'beacons of shards that the coordinator made up',
    stoppedBy: 'beaconsMixed',
    options: { members: 130, words: 1, untrusted: [0, 1] },
    wire: () => honest,
  },
  {
    name: 'beacons of shards that are of one organisation',
    stoppedBy: 'beaconsMixed',
    options: { members: 130, words: 1, organisationOf: () => 'library' },
    wire: () => honest,
  },
  // Shares
  {
    name: 'shares of too few members',
    stoppedBy: 'enoughShared',
    wire: telling('shareDelivery', (body, _node, by) => keepSharing(body, [by.order.indexOf(victim), body.index]), [
      victim,
    ]),
  },
  {
    name: "a delivery without the reader's own shares",
    stoppedBy: 'sharedInShard',
    wire: telling(
      'shareDelivery',
      (body) =>
        keepSharing(
          body,
          body.sharing.flatMap((shares, place) => (shares && place !== body.index ? [place] : [])),
        ),
      [victim],
    ),
  },
  {
    name: 'a ciphertext that was touched on the way',
    stoppedBy: 'sharesOpen',
    wire: telling(
      'shareDelivery',
      (body) => ({
        ...body,
        sealed: body.sealed.map((sealed, k) => (k === 1 ? { ...sealed, ciphertext: flip(sealed.ciphertext) } : sealed)),
      }),
      [victim],
    ),
  },
  {
    name: 'ciphertexts that were exchanged',
    wire: telling('shareDelivery', (body) => ({ ...body, sealed: body.sealed.toReversed() }), [victim]),
  },
  {
    name: 'a dealer that signs the hash of another share than it deals',
    stoppedBy: 'shareHashesMatch',
    colluders: [colluder],
    wire: hearing('shares', (signed, node, by) => {
      if (node !== colluder) return signed;
      const dealt = decodeBody('shares', signed.body);
      const place = by.order.indexOf(victim);
      const lied = { ...dealt.sealed[place]!, selfShareHash: label('another share') };
      const body = encodeBody('shares', { ...dealt, sealed: dealt.sealed.with(place, lied) });
      return { body, signature: by.nodes[node]!.identity.sign(signedMessage(body)) };
    }),
  },
  {
    name: 'a dealer that seals for two others what they cannot open, so that too few are left',
    stoppedBy: 'sharesOpen',
    colluders: [colluder],
    wire: hearing('shares', (signed, node, by) => {
      if (node !== colluder) return signed;
      const dealt = decodeBody('shares', signed.body);
      const deaf = [victim, 1].map((other) => by.order.indexOf(other));
      const sealed = dealt.sealed.map((one, rank) =>
        deaf.includes(rank) ? { ...one, ciphertext: flip(one.ciphertext) } : one,
      );
      const body = encodeBody('shares', { ...dealt, sealed });
      return { body, signature: by.nodes[node]!.identity.sign(signedMessage(body)) };
    }),
  },
  // Cuts
  {
    name: 'a cut that someone else signed',
    stoppedBy: 'cutSigned',
    wire:
      () =>
      ({ event, to }) =>
        to === 'node' && event.kind === 'cut'
          ? [{ ...event, signed: { ...event.signed, signature: nobody.sign(signedMessage(event.signed.body)) } }]
          : [event],
  },
  {
    name: "another input in the place of the node's own",
    stoppedBy: 'ownInputPresent',
    wire: telling('cut', (body) => ({ ...body, inputRoot: label('other inputs') })),
  },
  {
    name: 'a cut without the node that reads it',
    stoppedBy: 'ownInputPresent',
    wire: telling(
      'cut',
      (body, node, by) => ({
        ...body,
        surviving: body.surviving.with(by.order.indexOf(node), false),
        dropped: body.dropped.with(by.order.indexOf(node), true),
      }),
      [victim],
    ),
  },
  {
    name: 'a member alive and dead at once',
    stoppedBy: 'aliveOrDead',
    wire: telling('cut', (body, _node, by) => ({ ...body, dropped: body.dropped.with(by.order.indexOf(1), true) })),
  },
  {
    name: 'a member that shared and is neither summed nor dropped',
    stoppedBy: 'cutCoversShared',
    wire: cutting(
      (body, _node, by) => ({ ...body, surviving: body.surviving.with(by.order.indexOf(1), false) }),
      [victim],
    ),
  },
  {
    name: 'a cut of too few survivors',
    stoppedBy: 'enoughSurvive',
    options: { offer: { smallestSurvivors: 0 }, policy: { leastHonest: -10 } },
    wire: cutting((body, node, by) => onlySurviving(body, [by.order.indexOf(node), by.order.indexOf(colluder)])),
  },
  {
    name: 'too few honest survivors beyond the colluders',
    stoppedBy: 'honestSurvive',
    options: { policy: { leastHonest: 5 } },
    wire: () => honest,
  },
  {
    name: 'inputs lost on the way until one organisation is left in the sum',
    stoppedBy: 'organisationsSurvive',
    options: {
      members: 7,
      organisationOf: (node) => (node < 5 ? 'hospital' : 'library'),
      policy: { leastOrganisations: 2 },
    },
    wire: hearing('maskedInput', (signed, node) => (node < 5 ? signed : undefined)),
  },
  {
    name: 'a cut shown differently to two nodes',
    wire: cutting((body, node, by) => {
      const left = by.order.indexOf(node < 2 ? 3 : 2);
      return onlySurviving(
        body,
        body.surviving.flatMap((_, place) => (place === left ? [] : [place])),
      );
    }),
  },
  {
    name: 'a second cut after the first',
    wire:
      () =>
      ({ event, to }, by) => {
        if (to !== 'node' || event.kind !== 'cut') return [event];
        const body = decodeBody('cut', event.signed.body);
        return [event, { ...event, signed: by.sign(encodeBody('cut', { ...body, inputRoot: label('second') })) }];
      },
  },
  // Unmasking
  {
    name: 'a question about another cut than was signed',
    stoppedBy: 'sameCut',
    wire: telling('unmask', (body) => ({ ...body, cutHash: label('another cut') }), [victim]),
  },
  {
    name: 'one signature counted several times',
    stoppedBy: 'signersDistinct',
    wire: telling('unmask', (body) => ({ ...body, acks: body.acks.map(() => body.acks[0]!) }), [victim]),
  },
  {
    name: 'signatures that nobody made',
    stoppedBy: 'signaturesHold',
    wire: telling(
      'unmask',
      (body) => ({ ...body, acks: body.acks.map(({ index }) => ({ index, signature: new Uint8Array(64) })) }),
      [victim],
    ),
  },
  {
    name: 'too few signatures',
    stoppedBy: 'enoughSigned',
    wire: telling('unmask', (body) => ({ ...body, acks: body.acks.slice(0, 1) }), [victim]),
  },
  // The line
  {
    name: 'every message twice',
    wire:
      () =>
      ({ event }) => [event, event],
  },
  {
    name: "a member's advert in another member's name",
    wire: hearing('keyAdvert', (signed, node) =>
      node === victim ? { ...signed, body: flip(signed.body, 71) } : signed,
    ),
  },
  {
    name: 'openings that were altered on the way',
    wire: hearing('opening', (signed, node) =>
      node === victim ? { ...signed, body: flip(signed.body, signed.body.length - 1) } : signed,
    ),
  },
];

const honest: Wire = ({ event }) => [event];

const withAdverts = (body: Body<'roster'>, adverts: readonly Signed[]): Body<'roster'> => {
  const sorted = adverts.toSorted((a, b) => Buffer.compare(idOf(a.body), idOf(b.body)));
  return { ...body, adverts: sorted, rosterRoot: rosterRootOf(sorted) };
};
const idOf = (advert: Uint8Array): Uint8Array => decodeBody('keyAdvert', advert).nodeId;

const isOf = (advert: Uint8Array, node: number, { nodes }: Rehearsal): boolean =>
  Buffer.compare(idOf(advert), sha256Bytes(nodes[node]!.identity.publicKey).subarray(0, 16)) === 0;

/** A second advert of a node that colludes, with other keys. */
function advertOf(
  by: Rehearsal,
  node: number,
  name: string,
  keys?: { shareKey: Uint8Array; maskKey: Uint8Array },
): Signed {
  const { identity, sent } = by.nodes[node]!;
  const first = decodeBody('keyAdvert', sent.find((message) => message.name === 'keyAdvert')!.signed.body);
  const body = encodeBody('keyAdvert', {
    ...first,
    shareKey: keys?.shareKey ?? label(`${name} c`),
    maskKey: keys?.maskKey ?? label(`${name} m`),
  });
  return { body, signature: identity.sign(signedMessage(body)) };
}

function strangerAdvert({ roundId, sessionId }: Body<'roster'>): Signed {
  const body = encodeBody('keyAdvert', {
    roundId,
    sessionId,
    index: noPlace,
    nodeId: sha256Bytes(nobody.publicKey).subarray(0, 16),
    shareKey: label('stranger c'),
    maskKey: label('stranger m'),
    nonce: new Uint8Array(16),
  });
  return { body, signature: nobody.sign(signedMessage(body)) };
}

const keepSharing = (body: Body<'shareDelivery'>, places: readonly number[]): Body<'shareDelivery'> => {
  const before = body.sharing.flatMap((shares, place) => (shares ? [place] : []));
  return {
    ...body,
    sharing: body.sharing.map((shares, place) => shares && places.includes(place)),
    sealed: body.sealed.filter((_, k) => places.includes(before[k]!)),
  };
};

const onlySurviving = (body: Body<'cut'>, places: readonly number[]): Body<'cut'> => ({
  ...body,
  surviving: body.surviving.map((_, place) => places.includes(place)),
  dropped: body.dropped.map((_, place) => !places.includes(place)),
});

export const rehearse = ({ options, wire }: Strategy, checks?: RehearsalOptions['checks']): Rehearsal =>
  new Rehearsal({ members: 5, ...options, ...(checks && { checks }) }, wire()).run();

/** Every check that some test took out. */
export const removed = new Set<CheckName>();

/** The table with some checks taken out. */
export function without(...names: readonly CheckName[]): typeof nodeChecks {
  for (const name of names) removed.add(name);
  const kept = (group: Record<string, (facts: never) => boolean>) =>
    Object.fromEntries(Object.entries(group).filter(([name]) => !names.some((gone) => gone === name)));
  return Object.fromEntries(Object.entries(nodeChecks).map(([message, group]) => [message, kept(group)])) as never;
}

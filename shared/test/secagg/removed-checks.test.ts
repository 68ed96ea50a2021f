import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type Body, decodeBody, encodeBody, noPlace, type Signed } from '../../src/secagg/bodies.ts';
import { inclusionProof, leafHash, merkleRoot } from '../../src/merkle-tree.ts';
import { agree, keyPairOf, openSealed, sha256Bytes, shareKey, x25519PublicKey } from '../../src/secagg/keys.ts';
import type { RingWords } from '../../src/secagg/mask.ts';
import { nodeChecks } from '../../src/secagg/node-checks.ts';

import { cutHashOf, deriveSecrets } from '../../src/secagg/node-secrets.ts';
import type { NodeState } from '../../src/secagg/node-state.ts';
import { rosterRootOf, sameBytes, signedMessage } from '../../src/secagg/session.ts';
import { combineShares, weightsAtZero } from '../../src/secagg/shamir.ts';
import { reachedBy } from './coalition.ts';
import { leakingSum, leakingSums } from './leaking-sums.ts';
import { Rehearsal, type RehearsalOptions, type Wire } from './rehearsal.ts';
import { type CheckName, removed, strategies, rehearse, victim, without } from './strategies.ts';

/**
 * Each check of the table, taken out: what a lying coordinator then reaches. Where nothing can be reached because
 * another check stands behind it, that one is named and taken out with it.
 */

const label = (text: string): Uint8Array => createHash('sha256').update(text).digest();
const named = (name: string) => strategies.find((strategy) => strategy.name === name)!;
const finishes = (rehearsal: Rehearsal): void => expect(rehearsal.outcome()?.kind).toBe('finished');
const secretsOf = (rehearsal: Rehearsal, node: number) => {
  const offer = rehearsal.nodes[node]!.journal[0]!;
  return deriveSecrets(offer.kind === 'offer' ? offer.secret! : new Uint8Array(32));
};

/** Where the session ends although this node's own knowledge forbids it: the lie is in the record, or the sum with another. */
const done: readonly (readonly [CheckName, strategy: string, reached: string])[] = [
  ['roundIsOwn', 'an offer in the name of a later round', 'the sum of a round under the name of another'],
  ['roundIsOwn', 'an offer in the name of another run', 'the sum of a run under the name of another'],
  ['roundIsOwn', 'an offer after another result than its adapter is', 'a record that contradicts the log'],
  ['logOnlyGrew', 'a log that forked', 'two histories, both signed'],
  ['modelIsLoaded', 'a base model that nobody has loaded', 'a sum under the name of another model'],
  [
    'organisationsCapped',
    "members whose organisation's word the coordinator withholds, so that they look like several",
    'a sum that it leads, under no name',
  ],
  ['rootMatches', 'a root of other adverts than those that are shown', 'a record of another roster'],
  ['cutSigned', 'a cut that someone else signed', 'a cut that nobody can be held to'],
];

/** Where this node goes on to say what it must not. */
const goesOn: readonly (readonly [CheckName, strategy: string, says: string])[] = [
  ['sharedInShard', "a delivery without the reader's own shares", 'maskedInput'],
  ['countAsOffered', 'a smaller cohort than was offered', 'shares'],
  // honestSurvive would stop it, and is lax in this strategy's policy.
  ['enoughSurvive', 'a cut of too few survivors', 'cutAck'],
];
const says = ({ nodes }: Rehearsal): string[] => nodes[victim]!.sent.map(({ name }) => name);

describe('without the check', () => {
  it.each(leakingSums)('$check, $lie: $reached', (leak) => {
    const [guarded, gone] = [leakingSum(leak), leakingSum(leak, without(leak.check, ...[leak.behind ?? []].flat()))];
    expect(() => leak.reaches(guarded)).toThrow();
    leak.reaches(gone);
  });

  it.each(done)('%s, %s: %s', (check, strategy) => finishes(rehearse(named(strategy), without(check))));

  it.each(goesOn)('%s, %s: the node sends its %s', (check, strategy, message) => {
    expect(says(rehearse(named(strategy)))).not.toContain(message);
    expect(says(rehearse(named(strategy), without(check)))).toContain(message);
  });

  it('colludersWithstood, c = 0 at n = 5: two signed cuts and one colluder open both secrets of everyone', () => {
    const colluder = 4;
    const offer = { leastColluders: 0, colludingShare: 0 };
    const lax = without('colludersWithstood', 'untrustedAreFew');
    const rehearsal = new Rehearsal({ members: 5, offer, checks: lax }, withholdingCuts).begin();
    const places = (nodes: readonly number[]) => nodes.map((node) => rehearsal.order.indexOf(node));
    for (const alive of [
      [0, 1, colluder],
      [2, 3, colluder],
    ]) {
      const cut = cutOf(rehearsal, places(alive));
      const asked = alive.filter((node) => node !== colluder);
      const acks = asked.map((node) => acknowledge(rehearsal, node, cut));
      acks.push(ackOf(rehearsal, colluder, cut));
      for (const node of asked) ask(rehearsal, node, cut, acks);
    }
    expect(reachedBy(rehearsal, [colluder]).both).toEqual([0, 1, 2, 3]);
  });

  it('enoughSigned, signersDistinct, signaturesHold or (with that) sameCut, in a shard whose threshold is low: both secrets', () => {
    const rehearsal = new Rehearsal(
      { members: 130, words: 1, offer: { droppingShare: 3000 } },
      withholdingCuts,
    ).begin();
    const { session } = rehearsal.nodes[0]!.states.findLast((state) => state.session !== undefined)!;
    const [shard] = session!.shards as [NonNullable<typeof session>['shards'][number]];
    const { threshold } = shard.sizes;
    const inShard = shard.places.map((place) => rehearsal.order[place]!);
    const colluders = inShard.slice(0, Math.max(1, 2 * threshold - inShard.length));
    const size = threshold - colluders.length;
    const [left, right] = [0, 1].map((k) =>
      inShard.slice(colluders.length + k * size, colluders.length + (k + 1) * size),
    ) as [number[], number[]];
    const all = session!.members.map((_, place) => place);
    const beyond = (gone: readonly number[]) => all.filter((place) => !gone.includes(rehearsal.order[place]!));
    const cuts = { left: cutOf(rehearsal, beyond(right)), right: cutOf(rehearsal, beyond(left)) };
    const signers = rehearsal.nodes.map((_, node) => node).filter((node) => !right.includes(node));
    for (const node of signers) acknowledge(rehearsal, node, cuts.left);
    for (const node of right) acknowledge(rehearsal, node, cuts.right);
    const leftAcks = signers.map((node) => ackOf(rehearsal, node, cuts.left));
    const rightAcks = [...right, ...colluders].map((node) => ackOf(rehearsal, node, cuts.right));
    expect(leftAcks.length).toBeGreaterThanOrEqual(session!.sizes.cutThreshold);
    expect(rightAcks.length).toBeLessThan(session!.sizes.cutThreshold);
    for (const node of left) ask(rehearsal, node, cuts.left, leftAcks);
    const before = rehearsal.nodes;
    const attempt = (cut: SignedCut, acks: readonly Ack[], ...gone: CheckName[]): readonly number[] => {
      const checks = without(...gone);
      rehearsal.nodes = before.map((node) => ({
        ...node,
        sent: [...node.sent],
        states: [...node.states],
        options: { ...node.options, checks },
      }));
      for (const node of right) ask(rehearsal, node, cut, acks);
      return reachedBy(rehearsal, colluders, left.slice(0, 1)).both;
    };
    const repeated = leftAcks.map(() => rightAcks[0]!);
    const invented = beyond(left).map((index) => ({ index, signature: new Uint8Array(64) }));
    for (const acks of [rightAcks, repeated, invented]) expect(attempt(cuts.right, acks)).toEqual([]);
    expect(attempt(cuts.left, leftAcks)).toEqual([]);
    expect(attempt(cuts.right, rightAcks, 'enoughSigned')).toEqual(left.slice(0, 1));
    expect(attempt(cuts.right, repeated, 'signersDistinct')).toEqual(left.slice(0, 1));
    expect(attempt(cuts.right, invented, 'signaturesHold')).toEqual(left.slice(0, 1));
    expect(attempt(cuts.left, leftAcks, 'sameCut', 'signaturesHold')).toEqual(left.slice(0, 1));
  }, 300_000);

  it('organisationsSurvive, inputs lost on the way: a sum that is one organisation’s alone', () => {
    const strategy = named('inputs lost on the way until one organisation is left in the sum');
    expect(rehearse(strategy).outcome()?.kind).toBe('aborted');
    const rehearsal = rehearse(strategy, without('organisationsSurvive'));
    const hospital = [0, 1, 2, 3, 4].map((node) => rehearsal.order.indexOf(node));
    finishes(rehearsal);
    expect(rehearsal.sum).toEqual(rehearsal.exactSum(hospital));
  });

  it('organisationsSurvive counts no member that is not trusted, and none whose organisation nobody signed for', () => {
    const policy = { leastOrganisations: 2, leastHonest: -10 };
    const offer = { smallestSurvivors: 0 };
    const reason = (changes: Partial<RehearsalOptions>): string | undefined =>
      new Rehearsal({ members: 7, offer, policy, checks: without('organisationsPresent'), ...changes }).run().nodes[
        victim
      ]!.state.endedBecause;
    const organisationOf = (node: number): string => (node < 6 ? 'hospital' : 'library');
    expect(reason({ organisationOf })).toBeUndefined();
    const lax = { organisationOf, policy: { ...policy, leastColluders: 0 } };
    expect(reason({ ...lax, untrusted: [5] })).toBeUndefined();
    expect(reason({ ...lax, untrusted: [6] })).toBe('organisationsSurvive');
    expect(reason({ organisationOf: (node) => (node < 6 ? 'hospital' : undefined) })).toBe('organisationsSurvive');
    expect(reason({ ...lax, untrusted: [6], checks: nodeChecks })).toBe('organisationsPresent');
  });

  it('organisationsCapped lets in as many of each as the cap says, trusted or not, and no more of those without a word', () => {
    const reason = (organisationOf: (node: number) => string | undefined): string | undefined =>
      new Rehearsal({ members: 7, organisationOf, policy: { mostOfOneOrganisation: 3 } }).run().nodes[victim]!.state
        .endedBecause;
    const named = ['hospital', 'library', 'hospital', 'library', 'hospital', 'library'];
    expect(reason((node) => named[node])).toBeUndefined();
    expect(reason((node) => named[node] ?? 'library')).toBe('organisationsCapped');
    expect(reason((node) => (node < 4 ? named[node] : undefined))).toBeUndefined();
    expect(reason((node) => (node < 3 ? named[node] : undefined))).toBe('organisationsCapped');
  });

  it('roundIsNew, two sums of one update that differ by a member: that member’s update', () => {
    const checks = without('roundIsNew');
    const offer = { round: 2 };
    const all = new Rehearsal({ members: 5, offer, checks }).run();
    const gone: Wire = ({ node, event, to }) => (node === victim && to === 'server' ? [] : [event]);
    const others = new Rehearsal({ members: 5, offer, checks }, gone).run();
    const difference = all.sum!.map((word, i) => word - others.sum![i]!) as RingWords;
    expect(difference).toEqual(all.nodes[victim]!.update);
  });

  it('untrustedAreFew, made-up members: both secrets of every honest one', () => {
    const strategy = named('members that the coordinator made up, of an organisation that nobody trusts');
    expect(reachedBy(rehearse(strategy, without('untrustedAreFew')), strategy.colluders!).both).toEqual([0, 1, 2]);
  });

  it('advertsSigned, keys swapped for the coordinator’s own: both secrets of the node that deals to them', () => {
    const swapped = (k: number) => ({ share: keyPairOf(label(`share ${k}`)), mask: keyPairOf(label(`mask ${k}`)) });
    const wire = rosterFor(victim, (adverts, by) =>
      adverts.map((signed, k) => {
        if (sameBytes(idOf(signed), by.idBytes(victim))) return signed;
        const { share, mask } = swapped(k);
        const advert = { ...decodeBody('keyAdvert', signed.body), shareKey: share.publicKey, maskKey: mask.publicKey };
        return { body: encodeBody('keyAdvert', advert), signature: signed.signature };
      }),
    );
    expectDealt(
      new Rehearsal({ members: 5, checks: without('advertsSigned') }, wire).run(),
      (k) => swapped(k).share.secret,
    );
  });

  it('nodesDistinct, one colluder at most places: both secrets of the node that deals to them', () => {
    const colluder = 4;
    const twin = (k: number) => keyPairOf(label(`twin ${k}`));
    const wire = rosterFor(victim, (adverts, by) => {
      const own = adverts.filter((signed) => sameBytes(idOf(signed), by.idBytes(victim)));
      const { identity } = by.nodes[colluder]!;
      const first = adverts.find((signed) => sameBytes(idOf(signed), by.idBytes(colluder)))!;
      const twins = [0, 1, 2, 3].map((k): Signed => {
        const keys = { shareKey: twin(k).publicKey, maskKey: keyPairOf(label(`twin mask ${k}`)).publicKey };
        const body = encodeBody('keyAdvert', { ...decodeBody('keyAdvert', first.body), ...keys });
        return { body, signature: identity.sign(signedMessage(body)) };
      });
      const before = Buffer.compare(by.idBytes(colluder), by.idBytes(victim)) < 0;
      return before ? [...twins, ...own] : [...own, ...twins];
    });
    const rehearsal = new Rehearsal({ members: 5, checks: without('nodesDistinct') }, wire).run();
    const state = sharingState(rehearsal);
    expectDealt(rehearsal, (rank) => twin(rank - (state.place === 0 ? 1 : 0)).secret);
  });

  it.each([
    ['keysDistinct', 'a copied key', (key: Uint8Array) => key],
    ['keysUsable', 'a copied key in its second encoding', (key: Uint8Array) => key.with(31, key[31]! | 0x80)],
  ] as const)('%s, %s: an honest dealer stands accused of shares that nobody can open', (check, _, copy) => {
    const colluder = 4;
    const wire: Wire = ({ node, event, to }, by) => {
      if (to !== 'server' || event.kind !== 'keyAdvert' || node !== colluder) return [event];
      const copied = by.nodes[victim]!.sent[0]!.signed;
      const shareKey = copy(decodeBody('keyAdvert', copied.body).shareKey);
      const body = encodeBody('keyAdvert', { ...decodeBody('keyAdvert', event.signed.body), shareKey });
      return [{ ...event, signed: { body, signature: by.nodes[node]!.identity.sign(signedMessage(body)) } }];
    };
    // This coordinator takes no offence at the copy; each node must.
    const guarded = new Rehearsal({ members: 5 }, wire).acceptCopies().run();
    expect(guarded.nodes[victim]!.effects).toContainEqual({ kind: 'aborted', reason: check });
    const rehearsal = new Rehearsal({ members: 5, checks: without(check, 'ownAdvertOnce') }, wire).acceptCopies().run();
    const state = sharingState(rehearsal);
    const { sealed } = decodeBody('shares', sent(rehearsal, victim, 'shares').body);
    const place = rehearsal.order.indexOf(colluder);
    const { share } = secretsOf(rehearsal, colluder);
    const own = agree(share.secret, secretsOf(rehearsal, victim).share.publicKey)!;
    const key = shareKey(own, state.session!.shards[0]!.sessionId, state.place!, place);
    expect(openSealed(key, sealed[place]!.ciphertext)).toBeUndefined();
    const complaint = sent(rehearsal, colluder, 'complaint');
    expect(decodeBody('complaint', complaint.body).dealer).toBe(state.place);
  });

  it('shareHashesMatch, a dealer that signs another hash: an honest holder is blamed', () => {
    const rehearsal = rehearse(
      named('a dealer that signs the hash of another share than it deals'),
      without('shareHashesMatch'),
    );
    expect(rehearsal.server.blamed.map(({ nodeId }) => nodeId)).toEqual([rehearsal.idOf(victim)]);
  });

  it('sharesOpen, with shareHashesMatch behind it, a touched ciphertext: an honest holder is blamed', () => {
    const strategy = named('a ciphertext that was touched on the way');
    const rehearsal = rehearse(strategy, without('sharesOpen', 'shareHashesMatch'));
    expect(rehearsal.server.blamed.map(({ nodeId }) => nodeId)).toEqual([rehearsal.idOf(victim)]);
  });

  it('ownInputPresent, another vector in the place of one’s own: a wrong sum that all have signed', () => {
    const wire = forgingCut(
      (cut) => ({ ...cut, inputRoot: label('other inputs') }),
      (by) => {
        by.nodes[victim]!.masked![0]! ^= 1;
      },
    );
    const rehearsal = new Rehearsal({ members: 5, checks: without('ownInputPresent') }, wire).run();
    finishes(rehearsal);
    expect(rehearsal.sum).not.toEqual(rehearsal.exactSum([0, 1, 2, 3, 4]));
  });

  it('aliveOrDead and cutCoversShared: a record in which a member is both, or a member that vanishes from it', () => {
    const both = forgingCut((cut) => ({ ...cut, dropped: cut.dropped.with(1, true) }));
    finishes(new Rehearsal({ members: 5, checks: without('aliveOrDead', 'ownInputPresent') }, both).run());
    const neither = forgingCut((cut, by) => ({ ...cut, surviving: cut.surviving.with(by.order.indexOf(1), false) }));
    const rehearsal = new Rehearsal(
      { members: 5, checks: without('cutCoversShared', 'ownInputPresent') },
      neither,
    ).run();
    finishes(rehearsal);
    expect(rehearsal.outcome()).toMatchObject({ summed: expect.objectContaining({ length: 4 }) });
  });

  // The last of the file: by now each has been.
  it('no check of the table is left out here', () => {
    const names = Object.values(nodeChecks).flatMap((group) => Object.keys(group));
    expect([...removed].toSorted()).toEqual(names.toSorted());
  });
});

interface Ack {
  readonly index: number;
  readonly signature: Uint8Array;
}
interface SignedCut {
  readonly body: Uint8Array;
  readonly hash: Uint8Array;
  readonly summed: readonly number[];
}

const withholdingCuts: Wire = ({ event }) => (event.kind === 'cut' ? [] : [event]);

/** A cut in which these places survive and everyone else who shared has dropped. */
function cutOf({ server }: Rehearsal, summed: readonly number[]): SignedCut {
  const { session, inputs } = server;
  const alive = session!.members.map((_, place) => summed.includes(place));
  const sorted = alive.flatMap((lives, place) => (lives ? [place] : []));
  const body = encodeBody('cut', {
    roundId: session!.roundId,
    sessionId: session!.shards[0]!.sessionId,
    index: noPlace,
    surviving: alive,
    dropped: alive.map((lives) => !lives),
    inputRoot: merkleRoot(sorted.map((place) => leafHash(inputs.get(place)!.body))),
  });
  return { body, hash: cutHashOf(body), summed: sorted };
}

/** Shows it to a node. @returns the acknowledgement that it sends */
function acknowledge(rehearsal: Rehearsal, node: number, { body, summed }: SignedCut): Ack {
  const leaves = summed.map((place) => leafHash(rehearsal.server.inputs.get(place)!.body));
  const index = rehearsal.order.indexOf(node);
  const rank = summed.indexOf(index);
  const proof = { place: rank, proof: inclusionProof(leaves, rank) };
  rehearsal.toNode(node, { kind: 'cut', signed: rehearsal.sign(body), proof });
  return { index, signature: sent(rehearsal, node, 'cutAck').signature };
}

/** What a member that colludes signs, without looking. */
function ackOf(rehearsal: Rehearsal, node: number, { hash }: SignedCut): Ack {
  const { session } = rehearsal.server;
  const index = rehearsal.order.indexOf(node);
  const { sessionId } = session!.shardOf[index]!;
  const body = encodeBody('cutAck', { roundId: session!.roundId, sessionId, index, cutHash: hash });
  return { index, signature: rehearsal.nodes[node]!.identity.sign(signedMessage(body)) };
}

function ask(rehearsal: Rehearsal, node: number, { hash }: SignedCut, acks: readonly Ack[]): void {
  const { session } = rehearsal.server;
  const header = { roundId: session!.roundId, sessionId: session!.shards[0]!.sessionId, index: noPlace };
  rehearsal.toNode(node, { kind: 'unmask', body: encodeBody('unmask', { ...header, cutHash: hash, acks: [...acks] }) });
}

const sent = ({ nodes }: Rehearsal, node: number, name: string): Signed =>
  nodes[node]!.sent.find((message) => message.name === name)!.signed;

const idOf = ({ body }: Signed): Uint8Array => decodeBody('keyAdvert', body).nodeId;

/** Another roster for one node, with the root that fits. */
const rosterFor =
  (reader: number, lie: (adverts: readonly Signed[], by: Rehearsal) => readonly Signed[]): Wire =>
  ({ node, event, to }, by) => {
    if (to !== 'node' || node !== reader || event.kind !== 'roster') return [event];
    const body = decodeBody('roster', event.body);
    const adverts = [...lie(body.adverts, by)];
    return [{ kind: 'roster', body: encodeBody('roster', { ...body, adverts, rosterRoot: rosterRootOf(adverts) }) }];
  };

/** A coordinator whose own cut is the lie, so that acknowledgements and openings fit it. */
function forgingCut(
  lie: (cut: Body<'cut'>, by: Rehearsal) => Body<'cut'>,
  first: (by: Rehearsal) => void = () => {},
): Wire {
  let forged: Uint8Array | undefined;
  return ({ event, to }, by) => {
    if (to !== 'node' || event.kind !== 'cut') return [event];
    if (!forged) {
      const body = lie(decodeBody('cut', event.signed.body), by);
      forged = encodeBody('cut', body);
      by.server = { ...by.server, cut: { bytes: forged, hash: cutHashOf(forged), surviving: body.surviving } };
      first(by);
    }
    return [{ ...event, signed: by.sign(forged) }];
  };
}

const sharingState = ({ nodes }: Rehearsal): NodeState =>
  nodes[victim]!.states.find(({ phase }) => phase === 'shared')!;

/** What the victim dealt opens under keys that one party holds: enough of it to rebuild both of its secrets. */
function expectDealt(rehearsal: Rehearsal, secretOf: (rank: number) => Uint8Array): void {
  const { session, place } = sharingState(rehearsal);
  const [{ places, sessionId, sizes }] = session!.shards as [NonNullable<typeof session>['shards'][number]];
  const { sealed } = decodeBody('shares', sent(rehearsal, victim, 'shares').body);
  const secrets = secretsOf(rehearsal, victim);
  const open = places
    .filter((other) => other !== place)
    .slice(0, sizes.threshold)
    .map((other) => {
      const agreed = agree(secretOf(other), secrets.share.publicKey)!;
      return { other, plaintext: openSealed(shareKey(agreed, sessionId, place!, other), sealed[other]!.ciphertext)! };
    });
  const weights = weightsAtZero(open.map(({ other }) => other));
  const self = combineShares(
    open.map(({ plaintext }) => plaintext.subarray(0, 32)),
    weights,
  );
  const mask = combineShares(
    open.map(({ plaintext }) => plaintext.subarray(32)),
    weights,
  );
  expect(sha256Bytes(self)).toEqual(sha256Bytes(secrets.self));
  expect(x25519PublicKey(mask)).toEqual(secrets.mask.publicKey);
}

import { describe, expect, it } from 'vitest';
import { type BodyInit, decodeBody, encodeBody, type Signed } from '../../src/secagg/bodies.ts';
import { stepServer } from '../../src/secagg/server.ts';
import type { ServerEvent } from '../../src/secagg/server-state.ts';
import { signedMessage } from '../../src/secagg/session.ts';
import { Rehearsal, type Wire } from './rehearsal.ts';
import { rehearse, strategies } from './strategies.ts';

type Complaint = BodyInit<'complaint'>;

/** As the member at this place, whatever its machine would say. */
function complain(by: Rehearsal, place: number, dealer: number, change: Partial<Complaint> = {}): Signed {
  const { session } = by.server;
  const { sessionId } = session!.shardOf[place]!;
  const body = encodeBody('complaint', {
    roundId: session!.roundId,
    sessionId,
    index: place,
    dealer,
    reason: 1,
    ...change,
  });
  return { body, signature: by.nodes[by.order[place]!]!.identity.sign(signedMessage(body)) };
}

/** Whether the server had a use for it. */
const takes = ({ serverOptions, server }: Rehearsal, event: ServerEvent): boolean =>
  stepServer(serverOptions, server, event, 0).effects.length > 0;

const kept = ({ effects }: Rehearsal, kind: ServerEvent['kind']): number =>
  effects.filter((effect) => effect.kind === 'journal' && effect.event.kind === kind).length;

const without =
  (kind: ServerEvent['kind'], ...nodes: readonly number[]): Wire =>
  ({ node, event, to }) =>
    to === 'server' && event.kind === kind && nodes.includes(node) ? [] : [event];

/** Two hear what the others dealt and say nothing yet; a third dealt nothing. */
const waiting = (): Rehearsal => {
  const hushed: Wire = (passing, by) =>
    passing.node === 3 ? without('shares', 3)(passing, by) : without('maskedInput', 1, 2)(passing, by);
  const by = new Rehearsal({ members: 7 }, hushed).begin();
  by.now += 1001;
  by.toServer({ kind: 'tick' });
  by.settle();
  expect(by.server.phase).toBe('collecting');
  return by;
};

describe('a complaint', () => {
  it('is taken of a member of this session about a dealer of its shard, signed, while inputs come', () => {
    const by = waiting();
    const [one, other, silent, heard] = [1, 2, 3, 4].map((node) => by.order.indexOf(node)) as [
      number,
      number,
      number,
      number,
    ];
    const kind = 'complaint';
    expect(takes(by, { kind, signed: complain(by, one, other) })).toBe(true);
    const refused: Record<string, Signed> = {
      unsigned: { ...complain(by, one, other), signature: new Uint8Array(64) },
      'a signature that is none': { ...complain(by, one, other), signature: new Uint8Array(0) },
      garbage: { body: new Uint8Array(200_000), signature: new Uint8Array(64) },
      'in the name of another': { ...complain(by, one, other, { index: other }) },
      'of another session': complain(by, one, other, { sessionId: new Uint8Array(32) }),
      'of another round': complain(by, one, other, { roundId: new Uint8Array(32) }),
      'about nobody': complain(by, one, 99),
      'about one that dealt nothing': complain(by, one, silent),
      'of one that dealt nothing': complain(by, silent, one),
      'of one whose input came': complain(by, heard, one),
      'for no reason': complain(by, one, other, { reason: 0 }),
    };
    for (const [name, signed] of Object.entries(refused))
      expect([name, takes(by, { kind, signed })]).toEqual([name, false]);
    const signed = complain(by, one, other);
    for (const phase of ['keys', 'shards', 'shares', 'cutting', 'opening', 'unmasking', 'ended'] as const) {
      by.server = { ...by.server, phase };
      expect([phase, takes(by, { kind, signed })]).toEqual([phase, false]);
    }
  });

  it('stands in the place of an input: a second one and an input change nothing, and nobody waits for it', () => {
    const by = waiting();
    const [one, other] = [1, 2].map((node) => by.order.indexOf(node)) as [number, number];
    by.toServer({ kind: 'complaint', signed: complain(by, one, other) });
    expect(takes(by, { kind: 'complaint', signed: complain(by, one, by.order.indexOf(4)) })).toBe(false);
    const input = by.nodes[1]!.sent.find(({ name }) => name === 'maskedInput')!.signed;
    expect(takes(by, { kind: 'maskedInput', signed: input, loggedByMs: 0n })).toBe(false);
    const last = by.nodes[2]!.sent.find(({ name }) => name === 'maskedInput')!.signed;
    by.toServer({ kind: 'maskedInput', signed: last, loggedByMs: 0n });
    by.settle();
    expect(by.outcome()).toMatchObject({ kind: 'finished', summed: { length: 5 } });
    expect(by.sum).toEqual(by.exactSum([0, 2, 4, 5, 6].map((node) => by.order.indexOf(node))));
  });
});

describe('a dealer', () => {
  it('is named once more members of its shard complain of it than may lie, with what all of them signed', () => {
    const by = waiting();
    const [one, other, dealer] = [1, 2, 4].map((node) => by.order.indexOf(node)) as [number, number, number];
    const complaints = [complain(by, one, dealer), complain(by, other, dealer)] as const;
    expect(by.server.session!.sizes.colluders).toBe(1);
    by.toServer({ kind: 'complaint', signed: complaints[0] });
    expect(by.server.blamed).toEqual([]);
    by.toServer({ kind: 'complaint', signed: complaints[1] });
    expect(by.server.blamed).toMatchObject([
      { nodeId: by.idOf(4), evidence: [by.server.shares.get(dealer)!.signed, ...complaints] },
    ]);
  });

  it('is not named by as many as may lie, whatever they say of others', () => {
    const by = waiting();
    const [one, other] = [1, 2].map((node) => by.order.indexOf(node)) as [number, number];
    by.toServer({ kind: 'complaint', signed: complain(by, one, by.order.indexOf(4)) });
    by.toServer({ kind: 'complaint', signed: complain(by, other, by.order.indexOf(5)) });
    expect(by.server.blamed).toEqual([]);
  });

  it('that seals what too many cannot open ends the session, and is the only one to be left out', () => {
    const by = rehearse(strategies.find(({ name }) => name.startsWith('a dealer that seals for two others'))!);
    expect(by.outcome()).toMatchObject({ kind: 'aborted', blamed: [{ nodeId: by.idOf(4) }] });
  });
});

describe('what a member says twice', () => {
  it('is one event, also where its opening was refused', () => {
    const flipped: Wire = ({ node, event, to }, by) => {
      if (to !== 'server' || event.kind !== 'opening' || node !== 5) return [event, event];
      const body = decodeBody('opening', event.signed.body);
      const shares = body.shares.with(0, new Uint8Array(32));
      const bytes = encodeBody('opening', { ...body, shares });
      const lied = { ...event, signed: { body: bytes, signature: by.nodes[5]!.identity.sign(signedMessage(bytes)) } };
      return [lied, lied, event];
    };
    const by = new Rehearsal({ members: 7 }, flipped).run();
    expect(by.outcome()).toMatchObject({ kind: 'finished' });
    expect(by.server.blamed.map(({ nodeId }) => nodeId)).toEqual([by.idOf(5)]);
    const own = by.effects.filter(
      (effect) =>
        effect.kind === 'journal' &&
        effect.event.kind === 'opening' &&
        decodeBody('opening', effect.event.signed.body).index === by.order.indexOf(5),
    );
    expect(own).toHaveLength(1);
    expect(by.sum).toEqual(by.exactSum([0, 1, 2, 3, 4, 5, 6]));
  });

  it('is one event in shards, too, and its complaint is about a dealer of its own', () => {
    // Only the beacons hear more than the offer: nobody else is needed to draw the shards.
    const beaconsOnly: Wire = ({ node, event, to }) => {
      if (to === 'node') return node < 2 || event.kind === 'offer' ? [event] : [];
      return event.kind === 'shares' ? [] : [event, event];
    };
    const by = new Rehearsal({ members: 130, words: 1 }, beaconsOnly).begin();
    expect(kept(by, 'keyAdvert')).toBe(130);
    expect(kept(by, 'reveal')).toBe(2);
    const { shards } = by.server.session!;
    const shared = { signed: complain(by, 0, 1), body: { selfCommitment: new Uint8Array(32), sealed: [] } } as never;
    by.server = { ...by.server, phase: 'collecting', shares: new Map(by.order.map((_, place) => [place, shared])) };
    const [one, other] = shards[0]!.places as [number, number];
    expect(takes(by, { kind: 'complaint', signed: complain(by, one, other) })).toBe(true);
    expect(takes(by, { kind: 'complaint', signed: complain(by, one, shards[1]!.places[0]!) })).toBe(false);
  });
});

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { secagg, sha256 } from '@weft/shared';
import { type Meeting, SessionInProcess } from '../secagg-session.ts';
import { bytesLike, faults, inflict } from './damage.ts';
import { decoder, hash } from './decoder.ts';
import { demand, type FuzzTarget, fuzzTarget, sameBytes, takes } from './target.ts';

/** Bodies and machines of secure aggregation: what passed in one honest session, damaged, into each state that it went through. */

type Event = secagg.NodeEvent | secagg.ServerEvent;

const meetings: Meeting[] = [];
const session = new SessionInProcess({
  members: 4,
  words: 8,
  bits: 16,
  seed: 'fuzz',
  drops: new Map([[2, 'maskedInput']]),
  offer: { smallestSurvivors: 1 },
  mask: (place) => ({ chunkRoot: createHash('sha256').update(String(place)).digest(), lengthBytes: 16 }),
  unmask: () => undefined,
  met: (meeting) => meetings.push(meeting),
}).run();

const bodyOf = (event: Event): Uint8Array | undefined =>
  'signed' in event ? event.signed.body : 'body' in event ? event.body : undefined;
const recorded = meetings.flatMap(({ event }) => {
  const body = bodyOf(event);
  return body && event.kind in secagg.bodies ? [{ name: event.kind as secagg.BodyName, body }] : [];
});
const names = Object.keys(secagg.bodies) as secagg.BodyName[];

const header = { roundId: hash, sessionId: hash, index: 1 };
/** Bodies that this session has none of: it is too small for shards, and all goes well in it. */
const rarely: { readonly [N in secagg.BodyName]?: Uint8Array } = {
  reveal: secagg.encodeBody('reveal', { ...header, rosterRoot: hash, random: hash }),
  shardSeed: secagg.encodeBody('shardSeed', {
    ...header,
    reveals: [{ body: hash, signature: new Uint8Array(64) }],
  }),
  receipt: secagg.encodeBody('receipt', { ...header, maskedInputHash: hash, loggedByMs: 1n }),
  complaint: secagg.encodeBody('complaint', { ...header, dealer: 2, reason: 1 }),
  abort: secagg.encodeBody('abort', { ...header, reason: 0 }),
};

export const bodyTargets: readonly FuzzTarget[] = names.map((name) => {
  const own = recorded.filter((one) => one.name === name).map(({ body }) => body);
  const examples = own.length > 0 ? own : [rarely[name]!];
  return fuzzTarget(`secagg body ${name}`, 4, bytesLike(examples), (bytes) =>
    takes(
      () =>
        demand(sameBytes(secagg.encodeBody(name, secagg.decodeBody(name, bytes)), bytes), 'a body has two encodings'),
      ['WEFT_SECAGG_MALFORMED'],
    ),
  );
});

/** What travels beside a body. */
export const partTargets: readonly FuzzTarget[] = [
  decoder(
    'secagg proof of a cut',
    1,
    [secagg.encode(secagg.cutProofLayout, { place: 1, proof: [hash, hash] })],
    ['WEFT_SECAGG_MALFORMED'],
    (bytes) => secagg.encode(secagg.cutProofLayout, secagg.decode(secagg.cutProofLayout, bytes)),
  ),
  decoder(
    'secagg proof of a log',
    1,
    [secagg.encode(secagg.logProofLayout, { proof: [hash, hash, hash] })],
    ['WEFT_SECAGG_MALFORMED'],
    (bytes) => secagg.encode(secagg.logProofLayout, secagg.decode(secagg.logProofLayout, bytes)),
  ),
];

const withBody = <E extends Event>(event: E, change: (body: Uint8Array) => Uint8Array): E => {
  if ('signed' in event) return { ...event, signed: { ...event.signed, body: change(event.signed.body) } };
  return 'body' in event ? { ...event, body: change(event.body) } : event;
};
const harmed = <E extends Event>(events: readonly E[]): fc.Arbitrary<{ event: E; whole: boolean }> =>
  fc.tuple(fc.constantFrom(...events), fc.option(faults)).map(([event, harm]) => {
    const after = harm ? withBody(event, (body) => inflict(body, harm)) : event;
    const [before, left] = [bodyOf(event), bodyOf(after)];
    // A byte that is replaced by itself harms nothing.
    return { event: after, whole: harm === null || (before && left ? sameBytes(before, left) : before === left) };
  });

const atServer = meetings.filter((met) => met.who === 'coordinator');
const atNodes = meetings.filter((met) => met.who !== 'coordinator');

/** Receipts as the coordinator would sign them, for each state that a node was in with its input sent. */
const awaiting = atNodes.flatMap(({ state }) => {
  const { offer, session: own, place, input } = state;
  if (!offer || !own || place === undefined || !input) return [];
  const { sessionId } = own.shardOf[place]!;
  const about = {
    roundId: offer.roundId,
    sessionId,
    index: place,
    maskedInputHash: Buffer.from(sha256(input.body), 'hex'),
  };
  return [{ state, receipt: secagg.encodeBody('receipt', { ...about, loggedByMs: 60_000n }) }];
});
const signatureOf = (body: Uint8Array): Uint8Array => session.coordinator.sign(secagg.signedMessage(body));
const receipts = fuzzTarget(
  'secagg receipt, in each state that awaits one',
  0.5,
  fc.record({ one: fc.constantFrom(...awaiting), harm: fc.option(faults), isSigned: fc.boolean() }),
  ({ one: { state, receipt }, harm, isSigned }) => {
    const body = harm ? inflict(receipt, harm) : receipt;
    // Damaged on its way, or damaged and signed by a coordinator that lies.
    const signed = { body, signature: signatureOf(isSigned ? body : receipt) };
    const read = secagg.readReceipt(state, signed, session.coordinator.publicKey);
    demand(read === undefined || isSigned || sameBytes(body, receipt), 'a receipt that nobody signed');
    const about = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, receipt.length - 8);
    demand(read === undefined || sameBytes(about(body), about(receipt)), 'a receipt for something else');
    return read !== undefined;
  },
);

export const machineTargets: readonly FuzzTarget[] = [
  fuzzTarget(
    'secagg node, each message in each state',
    1,
    fc.tuple(fc.constantFrom(...atNodes), harmed(atNodes.map(({ event }) => event))),
    ([{ options, state }, { event }]) => {
      const { effects } = secagg.stepNode(options, state, event, 0, (length) => new Uint8Array(length));
      const sent = effects.flatMap((effect) => (effect.kind === 'send' ? [effect.name] : []));
      demand(sent.length <= 1, `one message was answered with ${sent.join()}`);
      // An opening leaves a node in two states only, and after the signatures held.
      demand(sent[0] !== 'opening' || ['acknowledged', 'opened'].includes(state.phase), `opened while ${state.phase}`);
      demand(state.phase !== 'ended' || effects.length === 0, 'it answered after the end');
      return effects.some(({ kind }) => kind === 'journal');
    },
  ),
  fuzzTarget(
    'secagg coordinator, each message in each state',
    1,
    fc.tuple(fc.constantFrom(...atServer), harmed(atServer.map(({ event }) => event))),
    ([{ options, state }, { event, whole }]) => {
      const { effects } = secagg.stepServer(options, state, event, 0);
      const changed = bodyOf(event) !== undefined && !whole;
      demand(!changed || !effects.some(({ kind }) => kind === 'unmask'), 'a damaged body opened the sum');
      return effects.some(({ kind }) => kind === 'journal');
    },
  ),
  receipts,
];

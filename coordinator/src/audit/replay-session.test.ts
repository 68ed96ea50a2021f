import { log, secagg } from '@weft/shared';
import { beforeAll, describe, expect, it } from 'vitest';
import { SessionInProcess } from '../../../test/secagg-session.ts';
import { Refuted } from './evidence.ts';
import { replaySession, type SecureRoundLeaves, type SessionEvidence } from './replay-session.ts';

const words = 8;
const bits = 16;
let evidence: SessionEvidence;
let leaves: SecureRoundLeaves;
let session: SessionInProcess;

/** Five members, one of which drops before its input, and the leaves that a coordinator writes of it. */
beforeAll(() => {
  const messages: SessionEvidence['messages'][number][] = [];
  let options: secagg.ServerOptions | undefined;
  session = new SessionInProcess({
    members: 5,
    words,
    bits,
    seed: 'audit',
    drops: new Map([[1, 'maskedInput']]),
    mask: () => ({ chunkRoot: Buffer.alloc(32, 9), lengthBytes: (words * bits) / 8 }),
    unmask: () => {},
    met(meeting) {
      if (meeting.who !== 'coordinator') return;
      const { event, state } = meeting;
      ({ options } = meeting);
      const taken = event.kind === 'tick' ? ({ kind: 'deadline' } as const) : event;
      if (taken.kind === 'begin' || taken.kind === 'unmasked') return;
      if (secagg.stepServer(meeting.options, state, taken, 0).effects.length === 0) return;
      messages.push('signed' in taken ? { kind: taken.kind, signed: taken.signed } : taken);
    },
  }).run();
  const invited = session.members.map(({ identity }) => identity.publicKey);
  evidence = { offer: secagg.encodeBody('offer', options!.offer), invited, messages };
  leaves = leavesOf(session);
});

function leavesOf({ offer, server }: SessionInProcess): SecureRoundLeaves {
  const { roster, cut, acks, session: fixed } = server;
  const { surviving, dropped, inputRoot } = secagg.decodeBody('cut', cut!.bytes);
  const round = { version: 1, at: 1n, runId: offer.runId, round: offer.round };
  const pseudonyms = fixed!.members.map(({ identityKey }) => log.pseudonymOf(offer.runId, identityKey));
  const hash = Buffer.alloc(32);
  const count = (places: readonly boolean[]): number => places.filter(Boolean).length;
  return {
    offer: {
      entry: 10,
      leaf: {
        name: 'offer',
        type: 3,
        ...round,
        specHash: offer.specHash,
        baseHash: offer.baseHash,
        layoutHash: offer.layoutHash,
        adapterHash: offer.adapterHash,
        factor: 2,
        mode: 1,
        gateData: hash,
        gateIncrease: 0n,
      },
    },
    roster: {
      entry: 11,
      leaf: {
        name: 'roster',
        type: 4,
        ...round,
        members: pseudonyms.length,
        memberRoot: log.sortedRoot(pseudonyms),
        advertRoot: roster!.root,
      },
    },
    cut: {
      entry: 12,
      leaf: {
        name: 'cut',
        type: 5,
        ...round,
        cutHash: cut!.hash,
        inputRoot,
        surviving: count(surviving),
        dropped: count(dropped),
      },
    },
    open: { entry: 13, leaf: { name: 'open', type: 6, ...round, cutHash: cut!.hash, acknowledgements: acks.size } },
    result: {
      entry: 14,
      leaf: {
        name: 'result',
        type: 7,
        ...round,
        previousAdapter: hash,
        adapterHash: hash,
        updates: 4,
        updateRoot: hash,
        weightSum: 4n,
        gate: 0,
        nextClipNorm: 0n,
      },
    },
  };
}

const refutation = (changedLeaves: SecureRoundLeaves, changed: SessionEvidence) => {
  try {
    replaySession(changedLeaves, changed);
    return undefined;
  } catch (error) {
    if (error instanceof Refuted) return error.finding;
    throw error;
  }
};
const withLeaf = <N extends keyof SecureRoundLeaves>(name: N, change: Partial<SecureRoundLeaves[N]['leaf']>) =>
  refutation({ ...leaves, [name]: { ...leaves[name], leaf: { ...leaves[name].leaf, ...change } } }, evidence);
type Message = SessionEvidence['messages'][number];
const withMessages = (change: (message: Message, at: number) => readonly Message[]) =>
  refutation(leaves, { ...evidence, messages: evidence.messages.flatMap(change) });
const isKind = <K extends Message['kind']>(message: Message, kind: K): boolean => message.kind === kind;

const other = Buffer.alloc(32, 0xee);
const flipped = ({ body, signature }: secagg.Signed): secagg.Signed => {
  const changed = Uint8Array.from(body);
  changed[changed.length - 1]! ^= 1;
  return { body: changed, signature };
};

describe('a session that is played again', () => {
  it('holds, with the member that dropped', () => {
    expect(session.outcome).toMatchObject({ kind: 'finished' });
    const { server, members } = replaySession(leaves, evidence);
    expect(members).toHaveLength(5);
    expect(secagg.openCut(server).shards[0]!.summed).toHaveLength(4);
    expect(evidence.messages.some(({ kind }) => kind === 'deadline')).toBe(true);
  });

  it('is refuted where the log says something else than members signed, at the entry that does', () => {
    const party = 'the coordinator';
    expect(withLeaf('offer', { specHash: other })).toMatchObject({ entry: 10, party });
    expect(withLeaf('offer', { round: 99 })).toMatchObject({ entry: 10, party });
    expect(withLeaf('roster', { memberRoot: other })).toMatchObject({ entry: 11, party });
    expect(withLeaf('roster', { advertRoot: other })).toMatchObject({ entry: 11, party });
    expect(withLeaf('roster', { members: 6 })).toMatchObject({ entry: 11, party });
    expect(withLeaf('cut', { inputRoot: other })).toMatchObject({ entry: 12, party });
    expect(withLeaf('cut', { dropped: 0 })).toMatchObject({ entry: 12, party });
    expect(withLeaf('cut', { surviving: 5 })).toMatchObject({ entry: 12, party });
    expect(withLeaf('open', { cutHash: other })).toMatchObject({ entry: 13, party });
    expect(withLeaf('open', { acknowledgements: 5 })).toMatchObject({ entry: 13, party });
  });

  it('gives the same cut where a member was revoked as where it dropped, and another where it was a different one', () => {
    const revoked = (place: number): Message => ({
      kind: 'revoked',
      nodeId: Buffer.from(secagg.nodeIdOf(session.members[place]!.identity.publicKey)).toString('hex'),
    });
    const instead = (place: number) =>
      withMessages((message) => (isKind(message, 'deadline') ? [revoked(place)] : [message]));
    expect(instead(1)).toBeUndefined();
    expect(instead(2)).toBeDefined();
  });

  it('is refuted by every kind of message that its sender did not sign so', () => {
    for (const kind of ['keyAdvert', 'shares', 'maskedInput', 'cutAck', 'opening'] as const) {
      let done = false;
      const finding = withMessages((message) => {
        if (done || !('signed' in message) || !isKind(message, kind)) return [message];
        done = true;
        return [{ ...message, signed: flipped(message.signed) }];
      });
      expect(finding?.claim, kind).toMatch(new RegExp(`the ${kind} of n_[0-9a-f]{32} is not signed by it`));
    }
  });

  it('is refuted where messages are left out, come twice, or are of a stranger', () => {
    let left = false;
    expect(
      withMessages((message) => {
        if (left || !isKind(message, 'opening')) return [message];
        left = true;
        return [];
      })?.claim,
    ).toMatch(/end in the phase opening/);
    expect(withMessages((message, at) => (at === 0 ? [message, message] : [message]))?.claim).toMatch(/no use for/);
    const invited = evidence.invited.map((key, at) => (at === 0 ? Buffer.from(other) : key));
    expect(refutation(leaves, { ...evidence, invited })?.claim).toMatch(/keyAdvert is of nobody/);
    expect(refutation(leaves, { ...evidence, offer: evidence.offer.subarray(1) })?.claim).toMatch(/the offer/);
  });
});

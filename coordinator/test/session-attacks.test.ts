import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SessionTranscriptSchema, type Envelope } from '@weft/proto';
import { fromBinary } from '@bufbuild/protobuf';
import { createIdentity, domains, toFederationId, verifyBody, WeftError } from '@weft/shared';
import { startTestCoordinator } from './test-coordinator.ts';
import { createTestNode, refusalCode, type TestNode, type TestSession } from './test-node.ts';

let coordinator: Awaited<ReturnType<typeof startTestCoordinator>>;
const nodes: TestNode[] = [];
beforeAll(async () => {
  coordinator = await startTestCoordinator({ messageBytes: 4096 });
});
afterAll(async () => {
  for (const node of nodes) node.close();
  await coordinator.close();
});

const join = async ({ autoApprove = true } = {}): Promise<TestNode> => {
  const node = createTestNode(coordinator);
  nodes.push(node);
  await node.enrol(coordinator.createInvite({ autoApprove }));
  return node;
};

const evaluation = { case: 'evaluation', value: { runId: 'r_1', round: 3, lossSum: 2, tokens: 1n } } as const;

describe('a session', () => {
  it('is proved by both sides over one transcript and then carries what the node says', async () => {
    const node = await join();
    const session = await node.openSession();
    expect(
      verifyBody(
        domains.sessionCoordinator,
        session.transcript,
        session.welcome.transcriptSignature,
        coordinator.identity.publicKey,
      ),
    ).toBe(true);
    expect(fromBinary(SessionTranscriptSchema, session.transcript).nodeId).toBe(node.nodeId);
    expect(session.ticket).toHaveLength(32);
    session.say(evaluation);
    await coordinator.inbox.seen(({ nodeId, said }) => nodeId === node.nodeId && said?.case === 'evaluation');
    expect(coordinator.sessions.gateway.send(node.nodeId, { case: 'cohort', value: { runId: 'r_1', round: 3 } })).toBe(
      true,
    );
    expect((await session.next('cohort')).round).toBe(3);
    session.call.cancel();
    await coordinator.inbox.seen(({ nodeId, event }) => nodeId === node.nodeId && event === 'disconnected');
    expect(coordinator.sessions.gateway.send(node.nodeId, { case: 'cohort', value: {} })).toBe(false);
  });

  it('tells which round a refused message was about, and goes on', async () => {
    const node = await join();
    const session = await node.openSession();
    coordinator.inbox.refuseWith(new WeftError('WEFT_UPDATE_WRONG_ROUND', 'round 4 is open, this is for round 3'));
    session.say(evaluation);
    expect(await session.next('refusal')).toMatchObject({
      code: 'WEFT_UPDATE_WRONG_ROUND',
      round: 3,
      runId: 'r_1',
      endsSession: false,
    });
    coordinator.inbox.refuseWith(undefined);
    session.say(evaluation);
    await coordinator.inbox.seen(({ nodeId, said }) => nodeId === node.nodeId && said?.case === 'evaluation');
    session.call.cancel();
  });

  it('of a node that starts another one ends, and its ticket with it', async () => {
    const node = await join();
    const first = await node.openSession();
    const second = await node.openSession();
    expect(await refusalCode(first.ended)).toBe('WEFT_SESSION_REPLACED');
    expect(await first.next('refusal')).toMatchObject({ code: 'WEFT_SESSION_REPLACED', endsSession: true });
    expect(await refusalCode(node.uploadStatus(first.ticket, 'x'))).toBe('WEFT_TICKET_INVALID');
    expect(await refusalCode(node.uploadStatus(second.ticket, 'x'))).toBe('served');
    second.call.cancel();
  });
});

describe('a handshake is refused', () => {
  it('when Hello is a replay of an earlier one', async () => {
    const node = await join();
    const session = await node.openSession();
    expect(await refusalCode(node.openSession({ hello: session.hello }))).toBe('WEFT_SESSION_HANDSHAKE');
    // the session that is open stays so
    expect(await refusalCode(node.uploadStatus(session.ticket, 'x'))).toBe('served');
    session.call.cancel();
  });

  it('when it answers an old challenge, another federation or another coordinator', async () => {
    const node = await join();
    const stranger = createIdentity().identity.publicKey;
    const attacks = [
      [{ coordinatorNonce: randomBytes(32) }, 'WEFT_SESSION_HANDSHAKE'],
      [{ coordinatorNonce: new Uint8Array(0) }, 'WEFT_SESSION_HANDSHAKE'],
      [{ nodeNonce: randomBytes(8) }, 'WEFT_SESSION_HANDSHAKE'],
      [{ federationId: toFederationId(stranger) }, 'WEFT_WRONG_FEDERATION'],
      [{ coordinatorKey: stranger }, 'WEFT_WRONG_FEDERATION'],
      [{ protocolVersion: 2 }, 'WEFT_PROTOCOL_VERSION'],
    ] as const;
    for (const [transcript, code] of attacks)
      expect(await refusalCode(node.openSession({ transcript })), code).toBe(code);
  });

  it('when another key signs, the envelope or the transcript alone', async () => {
    const node = await join();
    const { identity } = createIdentity();
    expect(await refusalCode(node.openSession({ signer: identity }))).toBe('WEFT_SIGNATURE_INVALID');
    expect(await refusalCode(node.openSession({ transcriptSignature: identity.sign(randomBytes(32)) }))).toBe(
      'WEFT_SIGNATURE_INVALID',
    );
  });

  it('when the key of one node speaks for another', async () => {
    const [victim, attacker] = [await join(), await join()];
    expect(await refusalCode(attacker.openSession({ transcript: { nodeId: victim.nodeId } }))).toBe(
      'WEFT_SIGNATURE_INVALID',
    );
  });

  it('when the node is unknown, waits for approval or was revoked', async () => {
    const unknown = createTestNode(coordinator);
    nodes.push(unknown);
    expect(await refusalCode(unknown.openSession())).toBe('WEFT_NODE_UNKNOWN');
    const pending = await join({ autoApprove: false });
    expect(await refusalCode(pending.openSession())).toBe('WEFT_NODE_PENDING');
    coordinator.registry.approve(pending.nodeId);
    const session = await pending.openSession();
    coordinator.registry.revoke(pending.nodeId);
    expect(await refusalCode(session.ended)).toBe('WEFT_NODE_REVOKED');
    expect(await refusalCode(pending.uploadStatus(session.ticket, 'x'))).toBe('WEFT_TICKET_INVALID');
    expect(await refusalCode(pending.openSession())).toBe('WEFT_NODE_REVOKED');
    expect(() => coordinator.registry.approve(pending.nodeId)).toThrow(/for good/);
  });

  it('when Hello is too long', async () => {
    const node = await join();
    expect(await refusalCode(node.openSession({ transcript: { federationId: 'f'.repeat(5000) } }))).toBe(
      'WEFT_MESSAGE_TOO_LARGE',
    );
  });
});

describe('a message ends the session', () => {
  const attacks: readonly (readonly [what: string, code: string, misbehave: (session: TestSession) => void])[] = [
    ['whose number leaves a gap', 'WEFT_SESSION_SEQUENCE', ({ say }) => say(evaluation, undefined, { sequence: 2n })],
    ['whose number was used', 'WEFT_SESSION_SEQUENCE', ({ say }) => say(evaluation, undefined, { sequence: 0n })],
    [
      'that belongs to another session',
      'WEFT_SESSION_SEQUENCE',
      ({ say }) => say(evaluation, undefined, { sessionId: randomBytes(16) }),
    ],
    ['that another key signed', 'WEFT_SIGNATURE_INVALID', ({ say }) => say(evaluation, createIdentity().identity)],
    [
      'that was altered after it was signed',
      'WEFT_SIGNATURE_INVALID',
      ({ seal, sendEnvelope }) => sendEnvelope(alter(seal(evaluation))),
    ],
    [
      'that is longer than the limit',
      'WEFT_MESSAGE_TOO_LARGE',
      ({ say }) => say({ case: 'decline', value: { message: 'x'.repeat(5000) } }),
    ],
    ['that is Hello again', 'WEFT_SESSION_HANDSHAKE', ({ say }) => say({ case: 'hello', value: {} })],
    ['that says nothing known', 'WEFT_MESSAGE_MALFORMED', ({ say }) => say({ case: undefined })],
  ];

  it.each(attacks)('%s', async (_what, code, misbehave) => {
    const node = await join();
    const session = await node.openSession();
    const before = coordinator.inbox.log.length;
    misbehave(session);
    expect(await refusalCode(session.ended)).toBe(code);
    expect(
      coordinator.inbox.log.slice(before).filter(({ event, nodeId }) => event === 'said' && nodeId === node.nodeId),
    ).toEqual([]);
    expect(await refusalCode(node.uploadStatus(session.ticket, 'x'))).toBe('WEFT_TICKET_INVALID');
  });

  const alter = (envelope: Envelope): Envelope => {
    const body = Uint8Array.from(envelope.body);
    body[body.length - 1]! ^= 1;
    return { ...envelope, body };
  };
});

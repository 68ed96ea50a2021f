import { connect } from 'node:net';
import { once } from 'node:events';
import { create } from '@bufbuild/protobuf';
import { afterEach, describe, expect, it } from 'vitest';
import { CertificateBodySchema, CertificateRenewalSchema } from '@weft/proto';
import { createIdentity, domains, openCertificateRenewal, sealEnvelope } from '@weft/shared';
import type { NetworkLimits } from '../src/sessions/limits.ts';
import { startTestCoordinator, type TestCoordinator } from './test-coordinator.ts';
import { createTestNode, refusalCode, type TestNode } from './test-node.ts';

let coordinator: TestCoordinator;
let nodes: TestNode[] = [];
afterEach(async () => {
  for (const node of nodes) node.close();
  nodes = [];
  await coordinator.close();
});

const start = async (limits: Partial<NetworkLimits>): Promise<void> => {
  coordinator = await startTestCoordinator(limits);
};
const join = async (): Promise<TestNode> => {
  const node = createTestNode(coordinator);
  nodes.push(node);
  await node.enrol(coordinator.createInvite());
  return node;
};

describe('a session', () => {
  it('ends when nothing comes from the node, and lives while heartbeats do', async () => {
    await start({ idleMs: 600, heartbeatMs: 100 });
    const node = await join();
    const silent = await node.openSession();
    // the coordinator's own heartbeats keep nobody alive
    await silent.next('heartbeat');
    expect(await refusalCode(silent.ended)).toBe('WEFT_SESSION_IDLE');
    expect(await refusalCode(node.uploadStatus(silent.ticket, 'x'))).toBe('WEFT_TICKET_INVALID');
    const lively = await node.openSession();
    for (let heard = 0; heard < 10; heard++) {
      await lively.next('heartbeat');
      lively.say({ case: 'heartbeat', value: {} });
    }
    expect(await refusalCode(node.uploadStatus(lively.ticket, 'x'))).toBe('served');
  });

  it('ends at its age, so that no ticket lives forever', async () => {
    await start({ ageMs: 300, heartbeatMs: 100 });
    const session = await (await join()).openSession();
    expect(await refusalCode(session.ended)).toBe('WEFT_SESSION_AGE');
  });

  it('is not waited for when Hello does not come', async () => {
    await start({ handshakeMs: 200 });
    const node = await join();
    expect(await refusalCode(node.startSession().ended)).toBe('WEFT_SESSION_HANDSHAKE');
  });

  it('is not kept out by streams that never say who they are: the oldest of those go', async () => {
    await start({ handshakes: 2, sessions: 1, handshakeMs: 60_000 });
    const [node, stranger] = [await join(), await join()];
    const silent = Array.from({ length: 5 }, () => stranger.startSession());
    for (const { ended } of silent.slice(0, 3)) expect(await refusalCode(ended)).toMatch(/^gRPC 1:/);
    const session = await node.openSession();
    expect(await refusalCode(silent[3]!.ended)).toMatch(/^gRPC 1:/);
    expect(await refusalCode(node.uploadStatus(session.ticket, 'x'))).toBe('served');
  });

  it('is refused beyond the number that is set, until one ends', async () => {
    await start({ sessions: 1 });
    const [one, other] = [await join(), await join()];
    const session = await one.openSession();
    expect(await refusalCode(other.openSession())).toBe('WEFT_SESSION_LIMIT');
    session.call.cancel();
    await coordinator.inbox.seen(({ event, nodeId }) => event === 'disconnected' && nodeId === one.nodeId);
    (await other.openSession()).call.cancel();
  });

  it('of a node that does not read is ended when its queue is full', async () => {
    await start({ queueBytes: 1 << 20 });
    const node = await join();
    const session = await node.openSession();
    session.call.pause();
    const message = { case: 'runEnded', value: { reason: 'x'.repeat(60_000) } } as const;
    let sent = 0;
    // what the sockets hold on the way comes first
    while (coordinator.sessions.gateway.send(node.nodeId, message)) {
      sent += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sent).toBeGreaterThan(10);
    expect(coordinator.sessions.gateway.connected()).toEqual([]);
    expect(await refusalCode(node.uploadStatus(session.ticket, 'x'))).toBe('WEFT_TICKET_INVALID');
  });

  it('that takes nothing of what others wait for is ended, and they are told everything in order', async () => {
    const messageBytes = 200_000;
    await start({ queueBytes: 64 << 20, inFlightBytes: 3 * messageBytes, slowestBytesPerSec: 1 << 30, graceMs: 1000 });
    const [slow, ...others] = [await join(), await join(), await join(), await join()];
    const stuck = await slow.openSession();
    stuck.call.pause();
    const sessions = await Promise.all(others.map((node) => node.openSession()));
    const { gateway } = coordinator.sessions;
    // grpc-js reads sixteen of them ahead
    const rounds = Array.from({ length: 30 }, (_, round) => round);
    for (const round of rounds) {
      const message = { case: 'runEnded', value: { reason: 'x'.repeat(messageBytes), runId: String(round) } } as const;
      for (const { nodeId } of [slow, ...others]) gateway.send(nodeId, message);
    }
    const told = sessions.map(async (session) => {
      const ids: string[] = [];
      for (const _ of rounds) ids.push((await session.next('runEnded')).runId);
      return ids;
    });
    for (const ids of await Promise.all(told)) expect(ids).toEqual(rounds.map(String));
    // It held its share for as long as nobody needed it.
    while (gateway.connected().includes(slow.nodeId)) {
      const message = { case: 'runEnded', value: { reason: 'x'.repeat(messageBytes) } } as const;
      for (const { nodeId } of others) gateway.send(nodeId, message);
      for (const session of sessions) await session.next('runEnded');
    }
    expect(await refusalCode(slow.uploadStatus(stuck.ticket, 'x'))).toBe('WEFT_TICKET_INVALID');
    // The stream is gone too, with what it held: its place is free without a word to a peer that reads none.
    expect(await refusalCode(stuck.ended)).toMatch(/^gRPC 1:/);
  });
});

describe('a renewed certificate', () => {
  it('is told to every node at the start of its session', async () => {
    const { identity } = createIdentity();
    let renewal = create(CertificateRenewalSchema);
    coordinator = await startTestCoordinator({}, () => renewal);
    renewal = create(CertificateRenewalSchema, {
      envelope: sealEnvelope(
        domains.certificate,
        CertificateBodySchema,
        { federationId: coordinator.federationId, certificateDer: new Uint8Array(310), notBeforeMs: 5n },
        coordinator.identity,
      ),
    });
    const session = await (await join()).openSession();
    const told = await session.next('certificateRenewal');
    expect(openCertificateRenewal(told, coordinator.identity.publicKey).notBeforeMs).toBe(5);
    expect(() => openCertificateRenewal(told, identity.publicKey)).toThrow(/signature/);
  });
});

describe('the port for nodes', () => {
  it('answers nobody who speaks without TLS', async () => {
    await start({});
    const [host, port] = coordinator.address.split(':');
    const socket = connect(Number(port), host);
    socket.on('error', () => {});
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    let received = Buffer.alloc(0);
    socket.on('data', (piece) => (received = Buffer.concat([received, piece])));
    await once(socket, 'close');
    // at most a TLS alert
    expect(received.length).toBeLessThan(16);
  });
});

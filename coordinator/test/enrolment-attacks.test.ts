import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EnrollBodySchema, EnrollStatus, NodeService, callUnary } from '@weft/proto';
import { Metadata } from '@grpc/grpc-js';
import { createIdentity, domains, endorse, sealEnvelope, toFederationId, toNodeId } from '@weft/shared';
import { createRegistry } from '../src/registry/registry.ts';
import { createCertificate } from '../src/tls/certificate.ts';
import { startTestCoordinator, type TestCoordinator } from './test-coordinator.ts';
import { createTestNode, refusalCode, type TestNode } from './test-node.ts';

let coordinator: TestCoordinator;
const nodes: TestNode[] = [];
beforeAll(async () => {
  coordinator = await startTestCoordinator();
});
afterAll(async () => {
  for (const node of nodes) node.close();
  await coordinator.close();
});

const newNode = (options?: Parameters<typeof createTestNode>[1]): TestNode => {
  const node = createTestNode(coordinator, options);
  nodes.push(node);
  return node;
};

describe('enrolment', () => {
  it('takes a key with an invite and waits for the admin, or not, as the invite says', async () => {
    const nonce = randomBytes(16);
    const result = await newNode().enrol(coordinator.createInvite({ autoApprove: false }), { nonce });
    expect(result.status).toBe(EnrollStatus.PENDING);
    expect(Buffer.from(result.nonce).equals(nonce)).toBe(true);
    expect((await newNode().enrol(coordinator.createInvite({ autoApprove: true }))).status).toBe(EnrollStatus.APPROVED);
  });

  it('may be repeated by the key that it enrolled, also after the invite ended', async () => {
    const node = newNode();
    const token = coordinator.createInvite({ autoApprove: false, lifetimeMs: 1000 });
    await node.enrol(token);
    coordinator.passTime(5000);
    expect((await node.enrol(token)).status).toBe(EnrollStatus.PENDING);
    coordinator.registry.approve(node.nodeId);
    expect((await node.enrol(token)).status).toBe(EnrollStatus.APPROVED);
    expect(coordinator.store.read({ kinds: ['node.enrolled'], nodeId: node.nodeId })).toHaveLength(1);
  });

  it("brings an organisation's word later with the same invite, which no call without one takes away", async () => {
    const organisation = createIdentity().identity;
    const node = newNode();
    const token = coordinator.createInvite({ autoApprove: true, lifetimeMs: 1000 });
    await node.enrol(token);
    const endorsement = endorse(organisation, coordinator.federationId, node.identity.publicKey);
    expect((await node.enrol(token, { endorsement })).status).toBe(EnrollStatus.APPROVED);
    expect(Buffer.from(coordinator.registry.endorsement(node.nodeId))).toEqual(Buffer.from(endorsement));
    await node.enrol(token, { nodeName: 'archive' });
    expect(coordinator.registry.node(node.nodeId)).toMatchObject({ name: 'archive', endorsement });
    coordinator.passTime(5000);
    expect(await refusalCode(node.enrol(token, { nodeName: 'museum' }))).toBe('WEFT_INVITE_EXPIRED');
    expect(coordinator.store.read({ kinds: ['invite.used'], nodeId: node.nodeId })).toHaveLength(1);
  });

  it('survives a restart: the registry is what the event table says', async () => {
    const node = newNode();
    const token = coordinator.createInvite();
    await node.enrol(token);
    const again = createRegistry({ store: coordinator.store });
    expect(again.node(node.nodeId)).toEqual(coordinator.registry.node(node.nodeId));
    expect(() =>
      again.enrol({ token, publicKey: createIdentity().identity.publicKey, name: 'x', organisation: '' }),
    ).toThrow(/another node/);
  });

  it('keeps no invite token, only its hash', () => {
    const token = coordinator.createInvite();
    const rows = JSON.stringify(coordinator.store.read());
    expect(rows).not.toContain(token.toString('hex'));
    expect(rows).not.toContain(token.toString('base64'));
  });
});

describe('enrolment is refused', () => {
  it('with an invite that another key used, that has ended, or that was never made', async () => {
    const token = coordinator.createInvite();
    await newNode().enrol(token);
    expect(await refusalCode(newNode().enrol(token))).toBe('WEFT_INVITE_USED');
    const short = coordinator.createInvite({ lifetimeMs: 1000 });
    coordinator.passTime(1000);
    expect(await refusalCode(newNode().enrol(short))).toBe('WEFT_INVITE_EXPIRED');
    expect(await refusalCode(newNode().enrol(randomBytes(32)))).toBe('WEFT_INVITE_UNKNOWN');
    expect(await refusalCode(newNode().enrol(randomBytes(4)))).toBe('WEFT_MESSAGE_MALFORMED');
  });

  it("when the request enrols one key and is signed by another's", async () => {
    const victim = createIdentity().identity;
    const attacker = newNode();
    const token = coordinator.createInvite();
    expect(await refusalCode(attacker.enrol(token, { publicKey: victim.publicKey }))).toBe('WEFT_SIGNATURE_INVALID');
    expect(coordinator.registry.node(toNodeId(victim.publicKey))).toBeUndefined();
    // and the invite is still good
    expect((await newNode({ identity: victim }).enrol(token)).nodeId).toBe(toNodeId(victim.publicKey));
  });

  it('when it was signed for something else than enrolment', async () => {
    const node = newNode();
    const body = {
      protocolVersion: 1,
      publicKey: node.identity.publicKey,
      inviteToken: coordinator.createInvite(),
      nodeName: 'x',
      nonce: randomBytes(16),
    };
    const envelope = sealEnvelope(domains.nodeMessage, EnrollBodySchema, body, node.identity);
    expect(await refusalCode(callUnary(node.client, new Metadata(), NodeService.method.enroll, { envelope }))).toBe(
      'WEFT_SIGNATURE_INVALID',
    );
  });

  it('when it means another federation, coordinator or protocol', async () => {
    const stranger = createIdentity().identity.publicKey;
    const token = coordinator.createInvite();
    expect(await refusalCode(newNode().enrol(token, { federationId: toFederationId(stranger) }))).toBe(
      'WEFT_WRONG_FEDERATION',
    );
    expect(await refusalCode(newNode().enrol(token, { coordinatorKey: stranger }))).toBe('WEFT_WRONG_FEDERATION');
    expect(await refusalCode(newNode().enrol(token, { protocolVersion: 2 }))).toBe('WEFT_PROTOCOL_VERSION');
  });

  it('when a name would play with the admin’s screen', async () => {
    const token = coordinator.createInvite();
    for (const nodeName of ['', 'x'.repeat(101), 'a\nb', 'a\u001B[2Jb', 'evil\u202Etxt']) {
      expect(await refusalCode(newNode().enrol(token, { nodeName })), JSON.stringify(nodeName)).toBe(
        'WEFT_MESSAGE_MALFORMED',
      );
    }
  });

  it('to a revoked node, with its old invite and with a new one', async () => {
    const node = newNode();
    const token = coordinator.createInvite();
    await node.enrol(token);
    coordinator.registry.revoke(node.nodeId);
    expect(await refusalCode(node.enrol(token))).toBe('WEFT_NODE_REVOKED');
    expect(await refusalCode(node.enrol(coordinator.createInvite()))).toBe('WEFT_NODE_REVOKED');
  });
});

describe("an impostor's certificate", () => {
  it('is refused at enrolment, session and transfer', async () => {
    const impostor = await createCertificate(Date.now());
    const node = newNode({ pinned: impostor.der });
    const failure = /certificate/i;
    await expect(node.enrol(coordinator.createInvite())).rejects.toThrow(failure);
    await expect(node.openSession()).rejects.toThrow(failure);
    await expect(node.download(randomBytes(32), 'x')).rejects.toThrow(failure);
    await expect(
      node.upload(
        randomBytes(32),
        sealEnvelope(domains.update, EnrollBodySchema, {}, node.identity),
        new Uint8Array(1),
      ),
    ).rejects.toThrow(failure);
  });
});

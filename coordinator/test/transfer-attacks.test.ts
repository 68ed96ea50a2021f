import { randomBytes } from 'node:crypto';
import { Metadata } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NodeService, callClientStream, callServerStream } from '@weft/proto';
import { createIdentity, sha256 } from '@weft/shared';
import { startTestCoordinator, updateFor, type TestCoordinator } from './test-coordinator.ts';
import { createTestNode, refusalCode, type TestNode, type TestSession } from './test-node.ts';

let coordinator: TestCoordinator;
let nodes: TestNode[] = [];
beforeEach(async () => {
  coordinator = await startTestCoordinator({ transfersPerNode: 2 });
});
afterEach(async () => {
  for (const node of nodes) node.close();
  nodes = [];
  await coordinator.close();
});

const join = async (): Promise<{ node: TestNode; session: TestSession }> => {
  const node = createTestNode(coordinator);
  nodes.push(node);
  await node.enrol(coordinator.createInvite());
  return { node, session: await node.openSession() };
};

const payload = randomBytes(3 * (1 << 20) + 17);

describe('download', () => {
  it('serves what the node was offered, whole and from any offset', async () => {
    const { node, session } = await join();
    const hash = await coordinator.inbox.offer(node.nodeId, payload);
    expect(sha256(await node.download(session.ticket, hash))).toBe(hash);
    for (const offset of [1, 1 << 20, payload.length - 1, payload.length]) {
      expect(
        (await node.download(session.ticket, hash, BigInt(offset))).equals(payload.subarray(offset)),
        String(offset),
      ).toBe(true);
    }
    expect(await refusalCode(node.download(session.ticket, hash, BigInt(payload.length + 1)))).toBe(
      'WEFT_TRANSFER_OFFSET',
    );
    expect(await refusalCode(node.download(session.ticket, hash, 2n ** 64n - 1n))).toBe('WEFT_TRANSFER_OFFSET');
  });

  it("never serves another node's blob, an update, or a path", async () => {
    const [one, other] = [await join(), await join()];
    const hash = await coordinator.inbox.offer(other.node.nodeId, payload);
    expect(await refusalCode(one.node.download(one.session.ticket, hash))).toBe('WEFT_BLOB_NOT_OFFERED');
    const update = updateFor(other.node.nodeId, payload, other.node.identity);
    await other.node.upload(other.session.ticket, update, payload);
    const secret = randomBytes(64);
    await other.node.upload(other.session.ticket, updateFor(other.node.nodeId, secret, other.node.identity), secret);
    for (const sha of [sha256(secret), '../weft.db', '', hash.toUpperCase()]) {
      expect(await refusalCode(other.node.download(other.session.ticket, sha)), sha).toBe('WEFT_BLOB_NOT_OFFERED');
    }
  });

  it('takes no ticket of nobody, of an ended session, or of a revoked node', async () => {
    const { node, session } = await join();
    const hash = await coordinator.inbox.offer(node.nodeId, payload);
    for (const ticket of [new Uint8Array(0), randomBytes(32), session.ticket.slice(0, 31)]) {
      expect(await refusalCode(node.download(ticket, hash))).toBe('WEFT_TICKET_INVALID');
    }
    coordinator.registry.revoke(node.nodeId);
    expect(await refusalCode(node.download(session.ticket, hash))).toBe('WEFT_TICKET_INVALID');
    expect(await refusalCode(node.uploadStatus(session.ticket, hash))).toBe('WEFT_TICKET_INVALID');
  });

  it('that is running ends when the node is revoked', async () => {
    const { node, session } = await join();
    // far more than the buffers on the way hold, so that the coordinator waits for the reader
    const large = Buffer.alloc(64 << 20);
    const hash = await coordinator.inbox.offer(node.nodeId, large);
    const call = callServerStream(node.client, new Metadata(), NodeService.method.download, {
      ticket: session.ticket,
      sha256: hash,
    });
    let received = 0;
    const ended = (async () => {
      for await (const { data } of call) {
        received += data.length;
        if (received === data.length) coordinator.registry.revoke(node.nodeId);
      }
    })();
    expect(await refusalCode(ended)).toBe('WEFT_NODE_REVOKED');
    expect(received).toBeLessThan(large.length);
  });

  it('is refused beyond the transfers that one node may have open', async () => {
    const { node, session } = await join();
    const hash = await coordinator.inbox.offer(node.nodeId, Buffer.alloc(64 << 20));
    const open = [1, 2].map(() =>
      callServerStream(node.client, new Metadata(), NodeService.method.download, {
        ticket: session.ticket,
        sha256: hash,
      }),
    );
    await Promise.all(open.map((call) => new Promise((resolve) => call.once('readable', resolve))));
    expect(await refusalCode(node.download(session.ticket, hash))).toBe('WEFT_SESSION_LIMIT');
    for (const call of open) {
      call.on('error', () => {});
      call.cancel();
    }
  });
});

describe('upload', () => {
  it('is answered with a receipt, and status tells how far it is', async () => {
    const { node, session } = await join();
    const update = updateFor(node.nodeId, payload, node.identity);
    const { receipt } = await node.upload(session.ticket, update, payload);
    expect(receipt?.signature).toHaveLength(64);
    expect((await node.uploadStatus(session.ticket, sha256(payload))).receivedBytes).toBe(BigInt(payload.length));
  });

  it('that broke in the middle is kept and goes on at its offset', async () => {
    const { node, session } = await join();
    const update = updateFor(node.nodeId, payload, node.identity);
    const call = callClientStream(node.client, new Metadata(), NodeService.method.upload, () => {});
    call.on('error', () => {});
    const { ticket } = session;
    call.write({
      $typeName: 'weft.v1.UploadRequest',
      kind: { case: 'header', value: { $typeName: 'weft.v1.UploadHeader', ticket, update, offset: 0n } },
    });
    call.write({ $typeName: 'weft.v1.UploadRequest', kind: { case: 'data', value: payload.subarray(0, 1 << 20) } });
    await coordinator.inbox.seen(({ event, nodeId }) => event === 'piece' && nodeId === node.nodeId);
    call.cancel();
    await coordinator.inbox.seen(({ event, nodeId }) => event === 'kept' && nodeId === node.nodeId);
    const { receivedBytes } = await node.uploadStatus(ticket, sha256(payload));
    expect(receivedBytes).toBe(1n << 20n);
    const { receipt } = await node.upload(ticket, update, payload, { offset: Number(receivedBytes) });
    expect(receipt).toBeDefined();
  });

  it('is refused when header, offset, signature or node do not hold', async () => {
    const [one, other] = [await join(), await join()];
    const { ticket } = one.session;
    const small = randomBytes(100);
    const own = updateFor(one.node.nodeId, small, one.node.identity);
    expect(await refusalCode(one.node.upload(ticket, own, small, { offset: 50 }))).toBe('WEFT_TRANSFER_OFFSET');
    expect(
      await refusalCode(one.node.upload(ticket, updateFor(one.node.nodeId, small, createIdentity().identity), small)),
    ).toBe('WEFT_SIGNATURE_INVALID');
    expect(
      await refusalCode(one.node.upload(ticket, updateFor(other.node.nodeId, small, one.node.identity), small)),
    ).toBe('WEFT_UPDATE_WRONG_NODE');
    // an update of one node under the ticket of another: the signature is not that node's
    expect(
      await refusalCode(one.node.upload(ticket, updateFor(other.node.nodeId, small, other.node.identity), small)),
    ).toBe('WEFT_SIGNATURE_INVALID');
    expect(await refusalCode(one.node.upload(ticket, own, Buffer.concat([small, small])))).toBe(
      'WEFT_TRANSFER_TOO_LARGE',
    );
    expect(await refusalCode(one.node.upload(ticket, own, randomBytes(100)))).toBe('WEFT_TRANSFER_HASH');
    expect(await refusalCode(one.node.upload(randomBytes(32), own, small))).toBe('WEFT_TICKET_INVALID');
    const headless = new Promise((resolve, reject) => {
      const call = callClientStream(one.node.client, new Metadata(), NodeService.method.upload, (error, response) =>
        error ? reject(error) : resolve(response),
      );
      call.on('error', () => {});
      call.end({ $typeName: 'weft.v1.UploadRequest', kind: { case: 'data', value: small } });
    });
    expect(await refusalCode(headless)).toBe('WEFT_MESSAGE_MALFORMED');
  });

  it('is refused when a piece is above the limit, and when a message is above what gRPC takes', async () => {
    const { node, session } = await join();
    const update = updateFor(node.nodeId, payload, node.identity);
    expect(await refusalCode(node.upload(session.ticket, update, payload, { pieceBytes: (1 << 20) + 1 }))).toBe(
      'WEFT_MESSAGE_TOO_LARGE',
    );
    expect(await refusalCode(node.upload(session.ticket, update, payload, { pieceBytes: 2 << 20 }))).toMatch(
      /^gRPC 8: .*larger than max/i,
    );
  });
});

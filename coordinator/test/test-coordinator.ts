import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { ReceiptSchema, UpdateSchema, type Envelope } from '@weft/proto';
import {
  WeftError,
  createIdentity,
  domains,
  openEnvelope,
  sealEnvelope,
  sha256,
  toFederationId,
  type Identity,
  type NodeId,
  type Sha256,
} from '@weft/shared';
import { pino } from 'pino';
import type { NodeSays, RunInbox, UploadSink } from '../src/federation/ports.ts';
import { createNodeService } from '../src/grpc/node-service.ts';
import { startGrpcServer } from '../src/grpc/server.ts';
import { createRegistry } from '../src/registry/registry.ts';
import { defaultLimits, type NetworkLimits } from '../src/sessions/limits.ts';
import { createSessions, type SessionsOptions } from '../src/sessions/sessions.ts';
import { createTickets } from '../src/sessions/tickets.ts';
import { openStore } from '../src/store/store.ts';
import { createCertificate } from '../src/tls/certificate.ts';

/** A real network side over a fake of the runs: the port is what these tests reach it through. */
export type TestCoordinator = Awaited<ReturnType<typeof startTestCoordinator>>;

export async function startTestCoordinator(
  limits: Partial<NetworkLimits> = {},
  certificateRenewal?: SessionsOptions['certificateRenewal'],
) {
  const home = await mkdtemp(join(tmpdir(), 'weft-network-'));
  let now = Date.now();
  const store = openStore(home);
  const { identity } = createIdentity();
  const federationId = toFederationId(identity.publicKey);
  const registry = createRegistry({ store, now: () => now });
  const tickets = createTickets();
  const logger = pino({ level: 'silent' });
  const effectiveLimits = { ...defaultLimits, ...limits };
  const inbox = createFakeInbox(home, identity, federationId, (id) => registry.publicKey(id));
  const sessions = createSessions({
    identity,
    federationId,
    registry,
    tickets,
    limits: effectiveLimits,
    logger,
    ...(certificateRenewal && { certificateRenewal }),
  });
  store.subscribe((event) => {
    if (event.kind !== 'node.revoked' || event.nodeId === undefined) return;
    sessions.gateway.end(event.nodeId, new WeftError('WEFT_NODE_REVOKED', 'revoked'));
  });
  const certificate = await createCertificate(now);
  const handlers = createNodeService({
    identity,
    federationId,
    registry,
    sessions,
    tickets,
    inbox,
    limits: effectiveLimits,
    logger,
  });
  const server = await startGrpcServer({
    host: '127.0.0.1',
    port: 0,
    ...certificate,
    handlers,
    limits: effectiveLimits,
  });
  return {
    home,
    store,
    identity,
    federationId,
    registry,
    inbox,
    sessions,
    certificate,
    address: `127.0.0.1:${server.port}`,
    passTime: (ms: number) => (now += ms),
    createInvite({ autoApprove = true, lifetimeMs = 60_000 } = {}) {
      const token = randomBytes(32);
      registry.createInvite({ token, expiresAt: now + lifetimeMs, autoApprove });
      return token;
    },
    async close() {
      sessions.endAll(new WeftError('WEFT_COORDINATOR_STOPPING', 'the test is over'));
      await server.close(0);
      store.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** Keeps what it is told, offers files, and takes any update whose signature and hash hold. */
function createFakeInbox(
  home: string,
  identity: Identity,
  federationId: string,
  publicKey: (id: NodeId) => Uint8Array | undefined,
) {
  const offered = new Map<NodeId, Map<Sha256, { path: string; sizeBytes: number }>>();
  const partial = new Map<string, Buffer>();
  const waiting = new Set<() => void>();
  const log: { event: 'connected' | 'disconnected' | 'piece' | 'kept' | 'said'; nodeId: NodeId; said?: NodeSays }[] =
    [];
  const note = (entry: (typeof log)[number]): void => {
    log.push(entry);
    for (const wake of waiting) wake();
  };
  let refusal: WeftError | undefined;

  const openSink = (
    nodeId: NodeId,
    update: Envelope,
    expected: { payloadSha256: string; payloadBytes: bigint },
    offset: number,
  ): UploadSink => {
    let bytes = (partial.get(expected.payloadSha256) ?? Buffer.alloc(0)).subarray(0, offset);
    return {
      async write(chunk) {
        if (bytes.length + chunk.length > expected.payloadBytes)
          throw new WeftError('WEFT_TRANSFER_TOO_LARGE', 'more than it said');
        bytes = Buffer.concat([bytes, chunk]);
        note({ event: 'piece', nodeId });
      },
      async finish() {
        if (bytes.length < expected.payloadBytes) {
          await this.suspend();
          throw new WeftError('WEFT_TRANSFER_TRUNCATED', 'less than it said');
        }
        partial.set(expected.payloadSha256, bytes);
        if (createHash('sha256').update(bytes).digest('hex') !== expected.payloadSha256)
          throw new WeftError('WEFT_TRANSFER_HASH', 'other bytes');
        return sealEnvelope(
          domains.receipt,
          ReceiptSchema,
          { federationId, nodeId, updateSha256: sha256(update.body) },
          identity,
        );
      },
      async suspend() {
        partial.set(expected.payloadSha256, bytes);
        note({ event: 'kept', nodeId });
      },
    };
  };

  const inbox: RunInbox = {
    nodeConnected: (nodeId) => note({ event: 'connected', nodeId }),
    nodeDisconnected: (nodeId) => note({ event: 'disconnected', nodeId }),
    async receive(nodeId, said) {
      if (refusal !== undefined && said.case !== 'heartbeat') throw refusal;
      note({ event: 'said', nodeId, said });
    },
    offeredBlob: async (nodeId, hash) => offered.get(nodeId)?.get(hash),
    countDownload: () => {},
    async openUpload(nodeId, envelope, offset) {
      const update = openEnvelope(domains.update, UpdateSchema, envelope, publicKey(nodeId) ?? new Uint8Array(32));
      if (update.nodeId !== nodeId) throw new WeftError('WEFT_UPDATE_WRONG_NODE', 'of another node');
      const have = partial.get(update.payloadSha256)?.length ?? 0;
      if (offset > have) throw new WeftError('WEFT_TRANSFER_OFFSET', `offset ${offset}, ${have} bytes are here`);
      return openSink(nodeId, envelope, update, offset);
    },
    uploadStatus: async (_nodeId, { payloadSha256 }) => ({ receivedBytes: partial.get(payloadSha256)?.length ?? 0 }),
  };
  return Object.assign(inbox, {
    log,
    refuseWith: (error: WeftError | undefined) => (refusal = error),
    /** Resolves once the log holds such an entry. */
    async seen(matches: (entry: (typeof log)[number]) => boolean): Promise<void> {
      if (log.some(matches)) return;
      await new Promise<void>((resolve) => {
        const wake = () => {
          if (!log.some(matches)) return;
          waiting.delete(wake);
          resolve();
        };
        waiting.add(wake);
      });
    },
    async offer(nodeId: NodeId, bytes: Uint8Array): Promise<Sha256> {
      const hash = sha256(bytes);
      const path = join(home, hash);
      await writeFile(path, bytes);
      const blobs = offered.get(nodeId) ?? new Map<Sha256, { path: string; sizeBytes: number }>();
      offered.set(nodeId, blobs.set(hash, { path, sizeBytes: bytes.length }));
      return hash;
    },
  });
}

/** A body that a node signs for an upload of these bytes. */
export const updateFor = (nodeId: NodeId, payload: Uint8Array, identity: Identity): Envelope =>
  sealEnvelope(
    domains.update,
    UpdateSchema,
    create(UpdateSchema, { nodeId, payloadSha256: sha256(payload), payloadBytes: BigInt(payload.length) }),
    identity,
  );

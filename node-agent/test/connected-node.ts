import { toFederationId, toNodeId, type Identity } from '@weft/shared';
import type { Federation } from '../src/home/federation-file.ts';
import { createTraffic } from '../src/network/traffic.ts';
import { keepConnected, type Connection } from '../src/session/connection.ts';
import type { ScriptedCoordinator } from './scripted-coordinator.ts';
import type { TestCertificate } from './test-certificate.ts';

/** What joining this coordinator would have pinned. */
export const federationOf = (
  coordinator: ScriptedCoordinator,
  node: Identity,
  pinned: TestCertificate = coordinator.certificate,
): Federation => ({
  version: 1,
  address: coordinator.address,
  federationId: toFederationId(coordinator.identity.publicKey),
  federationName: 'test',
  coordinatorKey: coordinator.identity.publicKey,
  certificates: [{ der: pinned.der, notBeforeMs: 0 }],
  nodeId: toNodeId(node.publicKey),
  nodeName: 'one',
  organisation: '',
});

/** A node that keeps a session with a scripted coordinator and listens to nothing. */
export function connectNode(
  federation: Federation,
  identity: Identity,
): { connection: Connection; signal: AbortSignal; leave: () => void } {
  const leaving = new AbortController();
  const { connection, over } = keepConnected({
    federation: () => federation,
    identity,
    agentVersion: 'test',
    traffic: createTraffic(),
    backoff: { firstMs: 5, maxMs: 20 },
    onAttempt: () => {},
    onOpen: () => {},
    onMessage: () => {},
    onClosed: () => {},
    signal: leaving.signal,
  });
  over.catch(() => {});
  return { connection, signal: leaving.signal, leave: () => leaving.abort() };
}

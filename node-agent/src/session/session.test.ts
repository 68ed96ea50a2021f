import { randomBytes } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { domains, createIdentity, sealEnvelope, toFederationId, type Identity } from '@weft/shared';
import { CertificateBodySchema } from '@weft/proto';
import { afterEach, expect, test } from 'vitest';
import { federationOf } from '../../test/connected-node.ts';
import {
  challengeOf,
  startScriptedCoordinator,
  type Script,
  type ScriptedCoordinator,
} from '../../test/scripted-coordinator.ts';
import { createTestCertificate, type TestCertificate } from '../../test/test-certificate.ts';
import type { Federation } from '../home/federation-file.ts';
import { acceptRenewal, dropOlderPins } from '../network/renewal.ts';
import { createTraffic } from '../network/traffic.ts';
import { keepConnected, type ConnectionOptions } from './connection.ts';
import type { CoordinatorSays } from './session.ts';

const node = createIdentity().identity;
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const start = async (script: Script): Promise<ScriptedCoordinator> => {
  const coordinator = await startScriptedCoordinator(script);
  closers.push(() => coordinator.close());
  return coordinator;
};

const pinsOf = (coordinator: ScriptedCoordinator, pinned?: TestCertificate): Federation =>
  federationOf(coordinator, node, pinned);

/** Keeps a node connected and collects what its operator would see. */
const connect = (federation: Federation, change: Partial<ConnectionOptions> = {}) => {
  const leaving = new AbortController();
  closers.push(() => leaving.abort());
  const heard: CoordinatorSays[] = [];
  const closed: string[] = [];
  const firstClose = Promise.withResolvers<string>();
  const kept = keepConnected({
    federation: () => federation,
    identity: node,
    agentVersion: 'test',
    traffic: createTraffic(),
    backoff: { firstMs: 5, maxMs: 20 },
    onAttempt: () => {},
    onOpen: () => {},
    onMessage: (message) => heard.push(message),
    onClosed: ({ code }) => {
      closed.push(code);
      firstClose.resolve(code);
    },
    signal: leaving.signal,
    ...change,
  });
  kept.over.catch(() => {});
  return {
    ...kept,
    heard,
    closed,
    firstClose: firstClose.promise,
    signal: leaving.signal,
    leave: () => leaving.abort(),
  };
};

test('both sides prove themselves, and what the node says is numbered from there', async () => {
  const heard = Promise.withResolvers<unknown>();
  const coordinator = await start({
    async session(session) {
      await session.shakeHands();
      heard.resolve([await session.hear(), await session.hear()]);
    },
  });
  const { connection, signal } = connect(pinsOf(coordinator));
  const session = await connection.session(signal);
  session.say({ case: 'decline', value: { runId: 'r', round: 1, code: 'WEFT_NODE_LEAVING', message: '' } });
  session.say({ case: 'heartbeat', value: { sentAtMs: 5n } });
  expect(await heard.promise).toMatchObject([
    { sequence: 1n, kind: { case: 'decline' } },
    { sequence: 2n, kind: { case: 'heartbeat' } },
  ]);
});

const impostor = createIdentity().identity;
const attacks: [
  string,
  string,
  (session: Parameters<NonNullable<Script['session']>>[0], identity: Identity) => Promise<void>,
][] = [
  [
    'speaks for a federation of its own',
    'WEFT_WRONG_FEDERATION',
    async (session) => session.say({ case: 'challenge', value: challengeOf(impostor) }),
  ],
  [
    'signs with another key than the pinned one',
    'WEFT_SIGNATURE_INVALID',
    async (session, identity) => session.say({ case: 'challenge', value: challengeOf(identity) }, { signer: impostor }),
  ],
  [
    'speaks another protocol',
    'WEFT_PROTOCOL_VERSION',
    async (session, identity) =>
      session.say({ case: 'challenge', value: { ...challengeOf(identity), protocolVersion: 9 } }),
  ],
  [
    'sends a nonce that it could repeat',
    'WEFT_SESSION_HANDSHAKE',
    async (session, identity) =>
      session.say({ case: 'challenge', value: { ...challengeOf(identity), coordinatorNonce: randomBytes(4) } }),
  ],
  [
    'shows the signature of an older session',
    'WEFT_SESSION_HANDSHAKE',
    async (session, identity) => {
      session.say({ case: 'challenge', value: challengeOf(identity) });
      await session.hear();
      const value = {
        transcriptSignature: randomBytes(64),
        sessionId: randomBytes(16),
        ticket: randomBytes(32),
        heartbeatIntervalMs: 1000,
      };
      session.say({ case: 'welcome', value });
    },
  ],
  ['skips the challenge', 'WEFT_SESSION_HANDSHAKE', async (session) => session.say({ case: 'heartbeat', value: {} })],
  [
    'leaves out a message',
    'WEFT_SESSION_SEQUENCE',
    async (session) => {
      await session.shakeHands();
      session.say({ case: 'cohort', value: {} }, { sequence: 3n });
    },
  ],
  [
    'repeats a message',
    'WEFT_SESSION_SEQUENCE',
    async (session) => {
      await session.shakeHands();
      session.say({ case: 'cohort', value: {} }, { sequence: 1n });
    },
  ],
  [
    'sends a message of another session',
    'WEFT_SESSION_SEQUENCE',
    async (session) => {
      await session.shakeHands();
      session.say({ case: 'cohort', value: {} }, { sessionId: randomBytes(16) });
    },
  ],
  [
    'has a message altered on the way',
    'WEFT_SIGNATURE_INVALID',
    async (session) => {
      await session.shakeHands();
      session.say({ case: 'cohort', value: {} }, { signer: impostor });
    },
  ],
];

test.each(attacks)('the session ends when the coordinator %s', async (_what, code, attack) => {
  const identity = createIdentity().identity;
  const coordinator = await start({ identity, session: (session) => attack(session, identity) });
  const { over, firstClose, heard } = connect(pinsOf(coordinator));
  expect(await Promise.race([firstClose, over.catch((error: { code: string }) => error.code)])).toBe(code);
  expect(heard).toEqual([]);
});

test.each(['impostor', 'weft'])(
  'a session with an impostor whose certificate names %s never begins',
  async (commonName) => {
    const coordinator = await start({ certificate: await createTestCertificate(commonName) });
    const { firstClose } = connect(pinsOf(coordinator, await createTestCertificate()));
    expect(await firstClose).toBe('WEFT_COORDINATOR_CERTIFICATE');
    expect(coordinator.calls).toEqual([]);
  },
);

test('a node waits while its approval is pending and goes on when it comes', async () => {
  const coordinator = await start({
    async session(session, attempt) {
      if (attempt === 1) return session.fail(status.PERMISSION_DENIED, 'wait', 'WEFT_NODE_PENDING');
      await session.shakeHands();
    },
  });
  const { connection, closed, signal } = connect(pinsOf(coordinator));
  await connection.session(signal);
  expect(closed).toEqual(['WEFT_NODE_PENDING']);
});

test('a broken line is mended, a revocation in mid-session is not', async () => {
  const coordinator = await start({
    async session(session, attempt) {
      await session.shakeHands();
      if (attempt === 1) return session.fail(status.UNAVAILABLE, 'gone');
      session.say({
        case: 'refusal',
        value: { code: 'WEFT_NODE_REVOKED', message: 'by the admin', endsSession: true },
      });
    },
  });
  const { over, closed, connection, signal } = connect(pinsOf(coordinator));
  await expect(over).rejects.toMatchObject({ code: 'WEFT_NODE_REVOKED' });
  expect(closed).toEqual(['WEFT_COORDINATOR_UNREACHABLE']);
  await expect(connection.session(signal)).rejects.toMatchObject({ code: 'WEFT_NODE_REVOKED' });
});

test('a stopped node ends its session', async () => {
  const ended = Promise.withResolvers<unknown>();
  const coordinator = await start({
    async session(session) {
      await session.shakeHands();
      ended.resolve(await session.hear());
    },
  });
  const { over, connection, signal, leave } = connect(pinsOf(coordinator));
  await connection.session(signal);
  leave();
  await expect(over).rejects.toMatchObject({ code: 'WEFT_NODE_LEAVING' });
  expect(await ended.promise).toBeUndefined();
});

const renewalBy = (signer: Identity, { der }: TestCertificate, notBeforeMs: number) => ({
  $typeName: 'weft.v1.CertificateRenewal' as const,
  envelope: sealEnvelope(
    domains.certificate,
    CertificateBodySchema,
    { federationId: toFederationId(signer.publicKey), certificateDer: der, notBeforeMs: BigInt(notBeforeMs) },
    signer,
  ),
});

test('a renewed certificate is taken when the pinned key signed it, and the old one is forgotten once it is in use', async () => {
  const renewed = await createTestCertificate();
  const old = await createTestCertificate();
  const coordinator = await start({ certificate: renewed, session: (session) => session.shakeHands() });
  const before = pinsOf(coordinator, old);
  const after = acceptRenewal(before, renewalBy(coordinator.identity, renewed, 5));
  const shown = Promise.withResolvers<Uint8Array>();
  const { connection, signal } = connect(after, { onOpen: (_session, certificate) => shown.resolve(certificate) });
  await connection.session(signal);
  expect(dropOlderPins(after, await shown.promise).certificates.map(({ notBeforeMs }) => notBeforeMs)).toEqual([5]);
  expect(dropOlderPins(after, old.der)).toBe(after);
});

test('a renewal by another key, of another federation, of no certificate or from earlier is refused', async () => {
  const identity = createIdentity().identity;
  const [first, second] = [await createTestCertificate(), await createTestCertificate()];
  const coordinator = await start({ identity, certificate: first });
  const federation = acceptRenewal(pinsOf(coordinator), renewalBy(identity, second, 5));
  const third = await createTestCertificate();
  expect(() => acceptRenewal(federation, renewalBy(impostor, third, 9))).toThrow(
    expect.objectContaining({ code: 'WEFT_SIGNATURE_INVALID' }),
  );
  expect(() => acceptRenewal(federation, renewalBy(identity, third, 5))).toThrow(
    expect.objectContaining({ code: 'WEFT_CERTIFICATE_RENEWAL' }),
  );
  const noCertificate = { ...third, der: randomBytes(300) };
  expect(() => acceptRenewal(federation, renewalBy(identity, noCertificate, 9))).toThrow(
    expect.objectContaining({ code: 'WEFT_CERTIFICATE_RENEWAL' }),
  );
  expect(acceptRenewal(federation, renewalBy(identity, second, 5))).toBe(federation);
});

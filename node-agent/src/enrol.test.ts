import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { EnrollStatus } from '@weft/proto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startScriptedCoordinator, type Script, type ScriptedCoordinator } from '../test/scripted-coordinator.ts';
import { createTestCertificate } from '../test/test-certificate.ts';
import { joinFederation } from './enrol.ts';
import { readFederation } from './home/federation-file.ts';
import { readSent } from './home/sent-record.ts';

let home: string;
const running: ScriptedCoordinator[] = [];
const start = async (script: Script = {}): Promise<ScriptedCoordinator> => {
  const coordinator = await startScriptedCoordinator(script);
  running.push(coordinator);
  return coordinator;
};
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-join-'));
});
afterEach(async () => {
  for (const coordinator of running.splice(0)) coordinator.close();
  await rm(home, { recursive: true, force: true });
});

test('an invite enrols the key of the home and pins what it carries', async () => {
  const coordinator = await start({ enrolStatus: EnrollStatus.PENDING });
  const { status } = await joinFederation({
    home,
    invite: coordinator.invite(),
    nodeName: 'archive',
    organisation: 'library',
  });
  const kept = await readFederation(home);
  expect(status).toBe('pending');
  expect(kept.address).toBe(coordinator.address);
  expect(Buffer.from(kept.coordinatorKey).equals(coordinator.identity.publicKey)).toBe(true);
  expect(Buffer.from(kept.certificates[0]!.der).equals(coordinator.certificate.der)).toBe(true);
});

test('the operator can read what enrolling sent, and the token is not kept', async () => {
  const coordinator = await start();
  await joinFederation({ home, invite: coordinator.invite(), nodeName: 'archive' });
  const [sent] = await readSent(home);
  expect(sent).toMatchObject({ kind: 'enrolment', nodeName: 'archive' });
  const files = await Promise.all(['federation.json', 'sent.jsonl'].map((name) => readFile(join(home, name))));
  for (const encoding of ['hex', 'base64', 'base64url'] as const) {
    const token = Buffer.from(coordinator.token).toString(encoding);
    expect(files.some((file) => file.includes(token))).toBe(false);
  }
});

test('the same invite may be used again by the same home, another federation needs another home', async () => {
  const coordinator = await start();
  const first = await joinFederation({ home, invite: coordinator.invite(), nodeName: 'archive' });
  const second = await joinFederation({ home, invite: coordinator.invite(), nodeName: 'archive' });
  expect(second.federation.nodeId).toBe(first.federation.nodeId);
  const other = await start();
  await expect(joinFederation({ home, invite: other.invite(), nodeName: 'archive' })).rejects.toMatchObject({
    code: 'WEFT_NODE_ALREADY_JOINED',
  });
  expect(other.calls).toEqual([]);
});

test.each([
  ['another subject', 'impostor'],
  ['the same subject', 'weft'],
])('an impostor whose certificate has %s is refused before it hears a word', async (_what, commonName) => {
  const impostor = await start({ certificate: await createTestCertificate(commonName) });
  const pinned = await createTestCertificate();
  const invite = impostor.invite({ certificateDer: pinned.der });
  await expect(joinFederation({ home, invite, nodeName: 'archive' })).rejects.toMatchObject({
    code: 'WEFT_COORDINATOR_CERTIFICATE',
  });
  expect(impostor.calls).toEqual([]);
});

test('no variable of the environment lets an impostor in', async () => {
  const impostor = await start();
  const pinned = await createTestCertificate();
  const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
  try {
    const invite = impostor.invite({ certificateDer: pinned.der });
    await expect(joinFederation({ home, invite, nodeName: 'archive' })).rejects.toMatchObject({
      code: 'WEFT_COORDINATOR_CERTIFICATE',
    });
    expect(impostor.calls).toEqual([]);
  } finally {
    if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
  }
});

test('an old answer, shown again, enrols nobody', async () => {
  const coordinator = await start({ changeEnrolResult: (result) => ({ ...result, nonce: new Uint8Array(32) }) });
  await expect(joinFederation({ home, invite: coordinator.invite(), nodeName: 'archive' })).rejects.toMatchObject({
    code: 'WEFT_SESSION_HANDSHAKE',
  });
  await expect(readFederation(home)).rejects.toMatchObject({ code: 'WEFT_NODE_NOT_JOINED' });
});

test('nobody there is not the same as somebody else there', async () => {
  const coordinator = await start();
  const invite = coordinator.invite();
  coordinator.close();
  await expect(joinFederation({ home, invite, nodeName: 'archive' })).rejects.toMatchObject({
    code: 'WEFT_COORDINATOR_UNREACHABLE',
  });
});

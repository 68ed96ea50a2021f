import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createIdentity, isWeftError, toFederationId, toNodeId } from '@weft/shared';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestCertificate } from '../../test/test-certificate.ts';
import { startNode } from '../agent.ts';
import { writeFederation } from '../home/federation-file.ts';
import { policyPath } from './policy-file.ts';

let home: string;
let coordinator: Server;
let connections = 0;
const sent: Uint8Array[] = [];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-bad-policy-'));
  connections = 0;
  sent.length = 0;
  coordinator = createServer((socket) => {
    connections += 1;
    socket.destroy();
  }).listen(0, '127.0.0.1');
  await once(coordinator, 'listening');
  const { publicKey } = createIdentity().identity;
  const { der } = await createTestCertificate();
  await writeFederation(home, {
    version: 1,
    address: `127.0.0.1:${(coordinator.address() as AddressInfo).port}`,
    federationId: toFederationId(publicKey),
    federationName: 'test',
    coordinatorKey: publicKey,
    certificates: [{ der, notBeforeMs: 0 }],
    nodeId: toNodeId(publicKey),
    nodeName: 'one',
    organisation: '',
  });
  await writeFile(join(home, 'data.txt'), 'one line\n'.repeat(40));
});
afterEach(async () => {
  coordinator.close();
  await rm(home, { recursive: true, force: true });
});

const start = () =>
  startNode({ home, dataPaths: [join(home, 'data.txt')], threads: 1, onSend: (bytes) => void sent.push(bytes) });

const bad: readonly (readonly [what: string, text: string | Uint8Array, says: string])[] = [
  ['a key with a typo', 'smallestCohrt: 10\n', 'did you mean smallestCohort?'],
  ['a key of a wrong type', 'smallestCohort: ten\n', 'smallestCohort: "ten"'],
  ['nothing in it', '', 'file: '],
  ['a mark of byte order of another encoding', Uint8Array.of(0xff, 0xfe, 0x61, 0), 'is not UTF-8'],
  ['an anchor and its alias', 'adapterTargets: &a [q_proj]\nweighting: *a\n', 'mistake'],
  ['a key that merges others in', '<<: { secureAggregation: optional }\n', '<<: there is no such key'],
  [
    'aliases that grow without end',
    `a: &a [x, x]\n${[...'bcdefghij'].map((l) => `${l}: &${l} [*a, *a, *a, *a, *a, *a]\n`).join('')}`,
    'mistake',
  ],
  ['a key twice', 'mostRounds: 1\nmostRounds: 1000\n', 'mistake'],
  ['ten megabytes', '#'.repeat(10_000_000), 'the limit is'],
];

test.each(bad)('with %s no agent starts, and no connection is opened', async (_what, text, says) => {
  await writeFile(policyPath(home), text, { mode: 0o600 });
  const failed = await start().catch((error: unknown) => error);
  expect(isWeftError(failed) && failed.code).toMatch(/^WEFT_POLICY_/);
  expect(String(failed)).toContain(says);
  expect({ connections, sent }).toEqual({ connections: 0, sent: [] });
});

test.skipIf(process.platform === 'win32')('with a file that others may write no agent starts', async () => {
  await writeFile(policyPath(home), 'mostRounds: 10\n');
  await chmod(policyPath(home), 0o666);
  await expect(start()).rejects.toMatchObject({ code: 'WEFT_POLICY_EXPOSED' });
  expect({ connections, sent }).toEqual({ connections: 0, sent: [] });
});

test('with a good one it does connect, and a mark of byte order in UTF-8 is no mistake', async () => {
  await writeFile(policyPath(home), '\uFEFFmostRounds: 10\n', { mode: 0o600 });
  const connected = once(coordinator, 'connection');
  const agent = await start();
  await connected;
  await agent.stop();
  expect(connections).toBeGreaterThan(0);
});

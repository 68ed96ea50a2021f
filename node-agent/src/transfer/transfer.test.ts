import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metadata } from '@grpc/grpc-js';
import { callServerStream, NodeService, ReceiptSchema, UpdateSchema, type Envelope } from '@weft/proto';
import {
  createIdentity,
  domains,
  sealEnvelope,
  sha256,
  toFederationId,
  type Identity,
  type Sha256,
} from '@weft/shared';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectNode, federationOf } from '../../test/connected-node.ts';
import { startScriptedCoordinator, type Script } from '../../test/scripted-coordinator.ts';
import { createTestCertificate } from '../../test/test-certificate.ts';
import { openClient } from '../network/coordinator-client.ts';
import { fromServiceError } from '../network/service-error.ts';
import { createTraffic } from '../network/traffic.ts';
import { downloadBlob } from './download.ts';
import { uploadUpdate } from './upload.ts';

const node = createIdentity().identity;
let folder: string;
const closers: (() => void)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-transfer-'));
});
afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await rm(folder, { recursive: true, force: true });
});

const start = async (script: Script = {}) => {
  const coordinator = await startScriptedCoordinator({ session: (session) => session.shakeHands(), ...script });
  const federation = federationOf(coordinator, node);
  const { connection, signal, leave } = connectNode(federation, node);
  closers.push(leave, () => coordinator.close());
  return { coordinator, federation, connection, signal };
};

const content = randomBytes(5000);
const blob = { sha256: sha256(content), sizeBytes: content.length };
const blobs = new Map([[blob.sha256 as string, new Uint8Array(content)]]);
const place = (): string => join(folder, 'blob');

test('a download that breaks goes on where it was', async () => {
  const { coordinator, connection, signal } = await start({
    blobs,
    breakDownloadAfter: (attempt) => (attempt <= 2 ? 1500 : undefined),
  });
  const progress: number[] = [];
  await downloadBlob(blob, place(), { connection, signal, onProgress: (done) => progress.push(done) });
  expect(sha256(await readFile(place()))).toBe(blob.sha256);
  expect(coordinator.calls.filter((call) => call === 'download')).toHaveLength(3);
  expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  expect(progress.at(-1)).toBe(blob.sizeBytes);
});

test('what an earlier process fetched is not fetched again', async () => {
  const { connection, signal } = await start({ blobs });
  await writeFile(`${place()}.part`, content.subarray(0, 3500));
  const progress: number[] = [];
  await downloadBlob(blob, place(), { connection, signal, onProgress: (done) => progress.push(done) });
  expect(progress[0]).toBe(4500);
  expect(sha256(await readFile(place()))).toBe(blob.sha256);
});

test.each([
  ['was damaged', Buffer.concat([Buffer.from('damaged'), content.subarray(7, 3500)])],
  ['is longer than the blob', Buffer.concat([content, content])],
])('a part that %s is fetched from the start', async (_what, part) => {
  const { connection, signal } = await start({ blobs });
  await writeFile(`${place()}.part`, part);
  await downloadBlob(blob, place(), { connection, signal });
  expect(sha256(await readFile(place()))).toBe(blob.sha256);
});

test('bytes with another hash than the offered one leave nothing behind', async () => {
  const { connection, signal } = await start({
    blobs: new Map([[blob.sha256 as string, new Uint8Array(randomBytes(5000))]]),
  });
  await expect(downloadBlob(blob, place(), { connection, signal })).rejects.toMatchObject({
    code: 'WEFT_TRANSFER_HASH',
  });
  expect(await readdir(folder)).toEqual([]);
});

test('a blob that is longer than offered is refused before it is written', async () => {
  const { connection, signal } = await start({ blobs: new Map([[blob.sha256 as string, new Uint8Array(9000)]]) });
  await expect(downloadBlob(blob, place(), { connection, signal })).rejects.toMatchObject({
    code: 'WEFT_TRANSFER_TOO_LARGE',
  });
});

test('a blob that no disk has room for is refused before a byte is asked for', async () => {
  const { coordinator, connection, signal } = await start({ blobs });
  const huge = { sha256: blob.sha256, sizeBytes: 2 ** 52 };
  await expect(downloadBlob(huge, place(), { connection, signal })).rejects.toMatchObject({ code: 'WEFT_DISK_FULL' });
  expect(coordinator.calls).not.toContain('download');
});

test.each(['impostor', 'weft'])(
  'a transfer with an impostor whose certificate names %s never begins',
  async (commonName) => {
    const impostor = await startScriptedCoordinator({ blobs, certificate: await createTestCertificate(commonName) });
    const client = openClient(
      { address: impostor.address, certificate: (await createTestCertificate()).der },
      createTraffic(),
    );
    closers.push(
      () => impostor.close(),
      () => client.close(),
    );
    const fetching = async (): Promise<void> => {
      for await (const _ of callServerStream(client, new Metadata(), NodeService.method.download, {
        sha256: blob.sha256,
      }));
    };
    const error = await fetching().catch((reason: unknown) => fromServiceError(reason, impostor.address));
    expect(error).toMatchObject({ code: 'WEFT_COORDINATOR_CERTIFICATE' });
    expect(impostor.calls).toEqual([]);
  },
);

const updateOf = (payloadSha256: Sha256): Envelope =>
  sealEnvelope(
    domains.update,
    UpdateSchema,
    { runId: 'r', round: 4, nodeId: 'n', payloadSha256, payloadBytes: BigInt(content.length) },
    node,
  );

const receiptOf = (
  coordinator: Identity,
  update: Envelope,
  change: MessageInitShape<typeof ReceiptSchema> = {},
  signer = coordinator,
): Envelope =>
  sealEnvelope(
    domains.receipt,
    ReceiptSchema,
    {
      federationId: toFederationId(coordinator.publicKey),
      runId: 'r',
      round: 4,
      nodeId: 'n',
      updateSha256: sha256(update.body),
      payloadSha256: blob.sha256,
      ...change,
    },
    signer,
  );

const upload = async (receipt: (update: Envelope, identity: Identity) => Envelope) => {
  const { identity } = createIdentity();
  const arrived: Uint8Array[] = [];
  const { federation, connection, signal } = await start({
    identity,
    receipt(update, payload) {
      arrived.push(payload);
      return receipt(update, identity);
    },
  });
  await writeFile(place(), content);
  const result = await uploadUpdate(updateOf(blob.sha256), place(), { connection, federation, signal });
  return { result, arrived };
};

test('an update arrives as it is, and its receipt is believed', async () => {
  const { result, arrived } = await upload((update, identity) => receiptOf(identity, update));
  expect(result.payloadSha256).toBe(blob.sha256);
  expect(arrived.map((bytes) => sha256(bytes))).toEqual([blob.sha256]);
});

const wrongReceipts: [string, string, (update: Envelope, identity: Identity) => Envelope][] = [
  [
    'for another update',
    'WEFT_NODE_RECEIPT_INVALID',
    (update, identity) => receiptOf(identity, update, { updateSha256: sha256('x') }),
  ],
  ['for another round', 'WEFT_NODE_RECEIPT_INVALID', (update, identity) => receiptOf(identity, update, { round: 5 })],
  ['for another node', 'WEFT_NODE_RECEIPT_INVALID', (update, identity) => receiptOf(identity, update, { nodeId: 'm' })],
  [
    'of another federation',
    'WEFT_NODE_RECEIPT_INVALID',
    (update, identity) => receiptOf(identity, update, { federationId: 'f' }),
  ],
  [
    'by another key',
    'WEFT_SIGNATURE_INVALID',
    (update, identity) => receiptOf(identity, update, {}, createIdentity().identity),
  ],
];

test.each(wrongReceipts)('a receipt %s is no receipt', async (_what, code, receipt) => {
  await expect(upload(receipt)).rejects.toMatchObject({ code });
});

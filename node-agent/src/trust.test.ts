import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toBinary } from '@bufbuild/protobuf';
import { CertificateBodySchema, CertificateRenewalSchema } from '@weft/proto';
import { createIdentity, domains, sealEnvelope, toFederationId } from '@weft/shared';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startScriptedCoordinator } from '../test/scripted-coordinator.ts';
import { createTestCertificate } from '../test/test-certificate.ts';
import { joinFederation } from './enrol.ts';
import { readFederation } from './home/federation-file.ts';
import { openHome } from './home/home.ts';
import { trustRenewal } from './trust.ts';

const { identity } = createIdentity();
let home: string;
let file: string;
beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'weft-trust-'));
  home = join(folder, 'home');
  file = join(folder, 'certificate-renewal.weft');
  const coordinator = await startScriptedCoordinator({ identity });
  await joinFederation({ home, invite: coordinator.invite(), nodeName: 'archive' });
  coordinator.close();
});
afterEach(() => rm(join(home, '..'), { recursive: true, force: true }));

const renewal = async (signer = identity): Promise<{ der: Uint8Array; bytes: Uint8Array }> => {
  const { der } = await createTestCertificate();
  const body = { federationId: toFederationId(signer.publicKey), certificateDer: der, notBeforeMs: 5n };
  const envelope = sealEnvelope(domains.certificate, CertificateBodySchema, body, signer);
  return { der, bytes: toBinary(CertificateRenewalSchema, { $typeName: 'weft.v1.CertificateRenewal', envelope }) };
};

test.each([
  ['as bytes', (bytes: Uint8Array) => bytes],
  ['as text', (bytes: Uint8Array) => `${Buffer.from(bytes).toString('base64')}\n`],
])('a renewal file %s is pinned when the pinned key signed it', async (_how, encode) => {
  const { der, bytes } = await renewal();
  await writeFile(file, encode(bytes));
  await trustRenewal(home, file);
  const { certificates } = await readFederation(home);
  expect(certificates).toHaveLength(2);
  expect(Buffer.from(certificates[1]!.der).equals(der)).toBe(true);
});

test('a renewal that another key signed changes nothing', async () => {
  await writeFile(file, (await renewal(createIdentity().identity)).bytes);
  await expect(trustRenewal(home, file)).rejects.toMatchObject({ code: 'WEFT_SIGNATURE_INVALID' });
  expect((await readFederation(home)).certificates).toHaveLength(1);
});

test('the agent that runs on the home is not disturbed', async () => {
  const held = await openHome(home);
  await writeFile(file, (await renewal()).bytes);
  await expect(trustRenewal(home, file)).rejects.toMatchObject({ code: 'WEFT_HOME_LOCKED' });
  await held.release();
});

test('a file of anything else is refused with a catalogued error', async () => {
  await expect(trustRenewal(home, join(home, 'missing'))).rejects.toMatchObject({ code: 'WEFT_CERTIFICATE_RENEWAL' });
  await writeFile(file, Buffer.alloc(100_000));
  await expect(trustRenewal(home, file)).rejects.toMatchObject({ code: 'WEFT_CERTIFICATE_RENEWAL' });
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      await writeFile(file, bytes);
      await expect(trustRenewal(home, file)).rejects.toMatchObject({
        code: expect.stringMatching(/^WEFT_(CERTIFICATE_RENEWAL|MESSAGE_MALFORMED|SIGNATURE_INVALID)$/),
      });
    }),
    { numRuns: 100 },
  );
});

import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { CertificateBodySchema, CertificateRenewalSchema, type CertificateRenewal } from '@weft/proto';
import { domains, sealEnvelope, type FederationId, type Identity } from '@weft/shared';
import { writePrivateFile } from '../home/private-files.ts';
import { readPrivateFile } from '../home/read-private-file.ts';
import { createCertificate, parseCertificate, type Certificate } from './certificate.ts';

/** Nodes hear of the next certificate this long before the present one ends … */
const announceBeforeEndMs = 120 * 24 * 3600 * 1000;
/** … and have this long to hear of it before it is shown. */
const switchAfterMs = 60 * 24 * 3600 * 1000;

/** The statement that an admin can hand to a node that was away for all that time. */
export const renewalFileName = 'certificate-renewal.weft';

export interface CertificateStore {
  readonly certificate: Certificate;
  /** Signed by the coordinator's Ed25519 key: the newest certificate that is not the invite's first one. */
  readonly renewal?: CertificateRenewal;
}

/**
 * Opens the home's certificate, makes the first one, and prepares or takes up the next one when it is time.
 * A new certificate is announced in every session long before it is shown.
 */
export async function openCertificates(
  home: string,
  { identity, federationId, now }: { identity: Identity; federationId: FederationId; now: number },
): Promise<CertificateStore> {
  let certificate = await read(home, 'certificate');
  if (certificate === undefined) {
    certificate = await createCertificate(now);
    await write(home, 'certificate', certificate);
  }
  let next = await read(home, 'certificate-next');
  // Taken up already: the next renewal begins anew.
  if (next?.sha256 === certificate.sha256) next = undefined;
  if (next === undefined && now >= certificate.expiresAt - announceBeforeEndMs) {
    next = await createCertificate(now);
    await write(home, 'certificate-next', next);
    await writePrivateFile(
      join(home, renewalFileName),
      toBinary(CertificateRenewalSchema, signRenewal(next, identity, federationId, now)),
    );
  }
  if (next !== undefined && isDue(certificate, now)) {
    await write(home, 'certificate', next);
    certificate = next;
  }
  const statement = await readPrivateFile(join(home, renewalFileName));
  return { certificate, ...(statement && { renewal: fromBinary(CertificateRenewalSchema, statement) }) };
}

const isDue = ({ expiresAt }: Certificate, now: number): boolean =>
  now >= expiresAt - announceBeforeEndMs + switchAfterMs;

const signRenewal = (
  next: Certificate,
  identity: Identity,
  federationId: FederationId,
  now: number,
): CertificateRenewal =>
  create(CertificateRenewalSchema, {
    envelope: sealEnvelope(
      domains.certificate,
      CertificateBodySchema,
      { federationId, certificateDer: next.der, notBeforeMs: BigInt(now) },
      identity,
    ),
  });

/** Certificate and key lie in one file: a crash cannot leave one without the other. */
async function write(home: string, name: string, { certificatePem, privateKeyPem }: Certificate): Promise<void> {
  await writePrivateFile(join(home, `${name}.pem`), `${certificatePem.trim()}\n${privateKeyPem.trim()}\n`);
}

async function read(home: string, name: string): Promise<Certificate | undefined> {
  const text = (await readPrivateFile(join(home, `${name}.pem`)))?.toString();
  const [certificatePem, privateKeyPem] = text?.match(/-----BEGIN[^]+?-----END[^-]+-----\n/g) ?? [];
  return certificatePem === undefined || privateKeyPem === undefined
    ? undefined
    : parseCertificate(certificatePem, privateKeyPem);
}

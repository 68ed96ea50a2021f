import type { CertificateRenewal } from '@weft/proto';
import { openCertificateRenewal, WeftError } from '@weft/shared';
import type { Federation } from '../home/federation-file.ts';
import { requireCertificate } from './pinned-tls.ts';

/** Pins that are kept side by side; a coordinator that renews more often has a fault. */
const maxPins = 8;

/**
 * Pins a certificate beside the ones before it when the coordinator's pinned Ed25519 key signed it for this federation
 * and it is later than all of them, so that a stolen old one cannot be shown again.
 * @returns the same federation where it is pinned already
 * @throws WEFT_SIGNATURE_INVALID, WEFT_WRONG_FEDERATION, WEFT_CERTIFICATE_RENEWAL
 */
export function acceptRenewal(federation: Federation, renewal: CertificateRenewal): Federation {
  const { certificateDer, notBeforeMs } = openCertificateRenewal(renewal, federation.coordinatorKey);
  if (federation.certificates.some(({ der }) => Buffer.from(der).equals(certificateDer))) return federation;
  const newestMs = Math.max(...federation.certificates.map((pin) => pin.notBeforeMs));
  if (notBeforeMs <= newestMs) {
    throw new WeftError(
      'WEFT_CERTIFICATE_RENEWAL',
      `the certificate is of ${notBeforeMs}, one of ${newestMs} is pinned already`,
      { notBeforeMs, newestMs },
    );
  }
  requireCertificate(certificateDer);
  const certificates = [...federation.certificates, { der: certificateDer, notBeforeMs }].slice(-maxPins);
  return { ...federation, certificates };
}

/** Once the coordinator has shown a renewed certificate, the ones before it are of no use but to a thief. */
export function dropOlderPins(federation: Federation, shown: Uint8Array): Federation {
  const pin = federation.certificates.find(({ der }) => Buffer.from(der).equals(shown));
  const certificates = federation.certificates.filter(
    ({ notBeforeMs }) => pin === undefined || notBeforeMs >= pin.notBeforeMs,
  );
  return certificates.length === federation.certificates.length ? federation : { ...federation, certificates };
}

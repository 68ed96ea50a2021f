import { timingSafeEqual } from 'node:crypto';
import { CertificateBodySchema, type CertificateRenewal } from '@weft/proto';
import { domains, openEnvelope } from './envelope.ts';
import { WeftError } from './errors/weft-error.ts';
import { sha256 } from './hash.ts';
import { toFederationId } from './identity.ts';

/**
 * The one name in every coordinator's certificate. A node trusts a certificate because the invite or the Ed25519 key
 * names it, whatever the host it is reached at; grpc-js takes this as `grpc.ssl_target_name_override`.
 */
export const coordinatorServerName = 'weft-coordinator';

/** A certificate as a node pins it, in PEM for grpc-js's root certificates. */
export const certificateToPem = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(der)
    .toString('base64')
    .replace(/(.{64})(?=.)/g, '$1\n')}\n-----END CERTIFICATE-----\n`;

/**
 * For `checkServerIdentity` beside `rootCerts`: the certificate must be a pinned one to the byte. Only effective while
 * rejectUnauthorized is left on: without it Node ignores what this returns.
 */
export const checkPinnedCertificate =
  (pinned: readonly Uint8Array[]) =>
  (_host: string, peer: { readonly raw: Uint8Array }): WeftError | undefined =>
    pinned.some((der) => der.length === peer.raw.length && timingSafeEqual(der, peer.raw))
      ? undefined
      : new WeftError(
          'WEFT_COORDINATOR_CERTIFICATE',
          `the server shows a certificate with SHA-256 ${sha256(peer.raw)}, pinned is ${pinned.map((der) => sha256(der)).join(' or ')}`,
        );

/**
 * A certificate that the pinned Ed25519 key signed for this federation.
 * @throws WEFT_SIGNATURE_INVALID, WEFT_WRONG_FEDERATION, WEFT_MESSAGE_MALFORMED
 */
export function openCertificateRenewal(
  renewal: CertificateRenewal,
  coordinatorKey: Uint8Array,
): { readonly certificateDer: Uint8Array; readonly notBeforeMs: number } {
  const body = openEnvelope(domains.certificate, CertificateBodySchema, renewal.envelope, coordinatorKey);
  const federationId = toFederationId(coordinatorKey);
  if (body.federationId !== federationId) {
    throw new WeftError(
      'WEFT_WRONG_FEDERATION',
      `the certificate is for ${body.federationId}, this is ${federationId}`,
    );
  }
  return { certificateDer: body.certificateDer, notBeforeMs: Number(body.notBeforeMs) };
}
